//! The core library that comes with the VM: searched after the class path, so that `2som Hello.som` needs nothing else.

/// Class names and sources.
pub const CLASSES: &[(&str, &str)] = &[
    ("Array", include_str!("../core-lib/Array.som")),
    ("Block", include_str!("../core-lib/Block.som")),
    ("Block1", include_str!("../core-lib/Block1.som")),
    ("Block2", include_str!("../core-lib/Block2.som")),
    ("Block3", include_str!("../core-lib/Block3.som")),
    ("Boolean", include_str!("../core-lib/Boolean.som")),
    ("Class", include_str!("../core-lib/Class.som")),
    ("Dictionary", include_str!("../core-lib/Dictionary.som")),
    ("Double", include_str!("../core-lib/Double.som")),
    ("False", include_str!("../core-lib/False.som")),
    ("HashEntry", include_str!("../core-lib/HashEntry.som")),
    ("Hashtable", include_str!("../core-lib/Hashtable.som")),
    ("Integer", include_str!("../core-lib/Integer.som")),
    ("Metaclass", include_str!("../core-lib/Metaclass.som")),
    ("Method", include_str!("../core-lib/Method.som")),
    ("Nil", include_str!("../core-lib/Nil.som")),
    ("Object", include_str!("../core-lib/Object.som")),
    ("Pair", include_str!("../core-lib/Pair.som")),
    ("Primitive", include_str!("../core-lib/Primitive.som")),
    ("Set", include_str!("../core-lib/Set.som")),
    ("String", include_str!("../core-lib/String.som")),
    ("Symbol", include_str!("../core-lib/Symbol.som")),
    ("System", include_str!("../core-lib/System.som")),
    ("True", include_str!("../core-lib/True.som")),
    ("Vector", include_str!("../core-lib/Vector.som")),
];

/// The source of a class.
pub fn source(name: &str) -> Option<&'static str> {
    CLASSES.iter().find(|(class, _)| *class == name).map(|(_, source)| *source)
}
