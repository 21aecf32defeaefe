//! A report as sections of text, tables and plots, and how it is written: HTML that needs nothing else, Markdown with the plots beside.

use super::plot::escaped;
use std::fmt::Write as _;
use std::path::Path;

/// A piece of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// Rows under a head.
    Table(Vec<String>, Vec<Vec<String>>),
    /// A plot as SVG, and the name of its file.
    Plot(&'static str, String),
}

/// A part of the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// What it says.
    pub blocks: Vec<Block>,
}

const STYLE: &str = "body{font-family:sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0;font-size:.9rem}td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:right}\
td:first-child,th:first-child{text-align:left}svg{width:100%;border:1px solid #eee}";

/// The report as one page of HTML.
pub fn html(title: &str, sections: &[Section]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style></head>\
         <body>\n<h1>{0}</h1>\n",
        escaped(title)
    );
    for section in sections {
        let _ = writeln!(page, "<h2>{}</h2>", escaped(&section.title));
        for block in &section.blocks {
            match block {
                Block::Text(text) => {
                    let _ = writeln!(page, "<p>{}</p>", escaped(text));
                }
                Block::Table(head, rows) => {
                    let row = |cells: &[String], tag: &str| {
                        let cells: String =
                            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
                        format!("<tr>{cells}</tr>\n")
                    };
                    page.push_str("<table>\n");
                    page.push_str(&row(head, "th"));
                    rows.iter().for_each(|cells| page.push_str(&row(cells, "td")));
                    page.push_str("</table>\n");
                }
                Block::Plot(_, svg) => page.push_str(svg),
            }
        }
    }
    page.push_str("</body></html>\n");
    page
}

/// The report as Markdown, its plots in files beside.
pub fn markdown(title: &str, sections: &[Section]) -> String {
    let mut text = format!("# {title}\n");
    for section in sections {
        let _ = write!(text, "\n## {}\n", section.title);
        for block in &section.blocks {
            match block {
                Block::Text(paragraph) => {
                    let _ = write!(text, "\n{paragraph}\n");
                }
                Block::Table(head, rows) => {
                    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
                    let _ = write!(text, "\n{}|{}\n", row(head), "---|".repeat(head.len()));
                    rows.iter().for_each(|cells| text.push_str(&row(cells)));
                }
                Block::Plot(name, _) => {
                    let _ = write!(text, "\n![{name}](plots/{name}.svg)\n");
                }
            }
        }
    }
    text
}

/// Writes both, and the plots.
///
/// # Errors
/// If a file can't be written.
pub fn write(out: &Path, title: &str, sections: &[Section]) -> Result<(), String> {
    let plots = out.join("plots");
    let put =
        |path: &Path, text: &str| std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()));
    std::fs::create_dir_all(&plots).map_err(|error| format!("{}: {error}", plots.display()))?;
    put(&out.join("report.html"), &html(title, sections))?;
    put(&out.join("report.md"), &markdown(title, sections))?;
    for block in sections.iter().flat_map(|section| &section.blocks) {
        if let Block::Plot(name, svg) = block {
            put(&plots.join(format!("{name}.svg")), svg)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_written_in_both_languages() {
        let table = Block::Table(vec!["a".to_owned(), "b".to_owned()], vec![vec!["1 < 2".to_owned(), "3".to_owned()]]);
        let section = Section { title: "T".to_owned(), blocks: vec![table, Block::Text("x & y".to_owned())] };
        let page = html("R", std::slice::from_ref(&section));
        assert!(page.contains("<td>1 &lt; 2</td><td>3</td>") && page.contains("<p>x &amp; y</p>"), "{page}");
        let text = markdown("R", &[section]);
        assert!(text.contains("| a | b |\n|---|---|\n| 1 < 2 | 3 |\n"), "{text}");
    }
}
