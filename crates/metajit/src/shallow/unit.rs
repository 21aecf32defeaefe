//! From one merge point to the code of everything that can be reached from it without leaving the activation.

use super::Bounds;
use super::path::{Arrival, Shallow, Way, frame_array};
use super::state::State;
use crate::driver::Driver;
use crate::ir::code::{BlockId, Code, End};
use crate::ir::{Arg, Aux, Op};
use crate::record::{FastMap, Meta};
use crate::twin::Raw;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Threaded code and its ways in.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The code; its first block chooses an entry.
    pub(crate) code: Code,
    /// The greens of each entry; the first is where the unit begins.
    pub(crate) entries: Vec<Vec<u64>>,
    /// Merge points that the code stands for.
    pub(crate) merge_points: usize,
}

/// Why there is no threaded code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// More merge points than allowed.
    TooLong,
    /// A panic passed through a twin.
    Panic,
}

/// The instance of an exit that says: the frame is not one that this code can run on.
pub(crate) const UNFIT: u32 = u32::MAX - 1;

/// The instance of an exit that says: a count is used up.
pub(crate) const COUNTED: u32 = u32::MAX - 2;

/// What the survey finds out.
#[derive(Default)]
struct Survey {
    /// How often a merge point is come to, from different ones.
    sources: FastMap<Vec<u64>, u32>,
    /// Where jumps backwards go, in the order they were found.
    headers: Vec<Vec<u64>>,
    merge_points: usize,
}

impl Survey {
    fn is_label(&self, greens: &[u64]) -> bool {
        self.sources.get(greens) != Some(&1)
    }
}

/// Makes threaded code from a merge point on. `counter` numbers the counter of a place.
pub(crate) fn make(
    driver: &'static Driver,
    greens: &[u64],
    bounds: Bounds,
    counter: &mut dyn FnMut(&[u64]) -> u32,
) -> Result<Unit, Failure> {
    let mut maker = Maker {
        shallow: Some(Box::new(Shallow::new(driver, bounds))),
        driver,
        labels: FastMap::default(),
        greens: Vec::new(),
        raws: Vec::new(),
        words: Vec::new(),
    };
    let survey = maker.survey(greens)?;
    maker.unit(greens, &survey, counter)
}

struct Maker {
    shallow: Option<Box<Shallow>>,
    driver: &'static Driver,
    labels: FastMap<Vec<u64>, BlockId>,
    /// Buffers for what a twin is run with, and what it returns.
    greens: Vec<u64>,
    raws: Vec<Raw>,
    words: Vec<Raw>,
}

/// Where a chain of iterations goes on.
struct Chain {
    state: Box<State>,
    block: BlockId,
}

impl Maker {
    fn at(&mut self) -> &mut Shallow {
        self.shallow.as_mut().expect("the recorder is back between runs")
    }

    /// Goes all ways through the iteration at the state's merge point: where they get to.
    fn iteration(&mut self, start: &State, block: BlockId) -> Result<Vec<Arrival>, Failure> {
        let position = self.at().builder.position(block);
        loop {
            let shallow = self.at();
            shallow.ways.clear();
            shallow.ways_seen = 0;
            shallow.arrivals.clear();
            shallow.restart = false;
            let state = shallow.spare.state(start);
            shallow.ways.push(Way { script: Vec::new(), state, block, insts: shallow.builder.code.insts.len() });
            while let Some(way) = self.at().ways.pop() {
                self.run(way)?;
                if self.at().restart {
                    break;
                }
            }
            let shallow = self.at();
            if !shallow.restart {
                return Ok(std::mem::take(&mut shallow.arrivals));
            }
            shallow.builder.roll_back(position);
            if std::mem::take(&mut shallow.hopeless) {
                let state = shallow.spare.state(start);
                shallow.go_on_in(state, block);
                let exit = shallow.exit(0);
                shallow.builder.end(block, End::Exit(exit));
                return Ok(Vec::new());
            }
        }
    }

    /// Runs the twin once.
    fn run(&mut self, way: Way) -> Result<(), Failure> {
        let driver = self.driver;
        let mut way = way;
        let mut shallow = self.shallow.take().expect("the recorder is back between runs");
        // What was emitted on other ways meanwhile does not count.
        let meanwhile = shallow.builder.code.insts.len() - way.insts;
        way.state.calls.iter_mut().for_each(|open| open.insts += meanwhile);
        let Maker { greens, raws, words, .. } = self;
        greens.clone_from(&way.state.greens);
        let raw = |&arg: &Arg| Raw { bits: arg.as_const().unwrap_or(0), arg };
        raws.clear();
        raws.extend(way.state.reds.iter().map(raw));
        words.clear();
        let script = std::mem::replace(&mut shallow.script, way.script);
        shallow.spare.give_back_script(script);
        let state = std::mem::replace(&mut shallow.state, way.state);
        shallow.spare.give_back(state);
        (shallow.given, shallow.arrived, shallow.block) = (0, false, way.block);
        shallow.set_silent(false);
        shallow.forks = 0;
        shallow.keys.clear();
        let mut meta = Meta::shallow(shallow);
        let result = catch_unwind(AssertUnwindSafe(|| (driver.twin)(&mut meta, greens, raws, words)));
        let mut shallow = meta.into_shallow().expect("the recorder of a shallow run");
        let outcome = match result {
            Ok(()) => {
                if !shallow.arrived {
                    shallow.finish(words);
                }
                Ok(())
            }
            Err(payload) if Shallow::is_left(&*payload) => Ok(()),
            Err(_) => Err(Failure::Panic),
        };
        self.shallow = Some(shallow);
        outcome
    }

    /// The state at a merge point where nothing is known but the reds.
    fn fresh(&mut self, greens: &[u64], block: BlockId) -> Box<State> {
        let driver = self.driver;
        let mut state = self.at().spare.empty_state();
        let builder = &mut self.at().builder;
        let reds = driver.portal.reds.iter().map(|&ty| Arg::Op(builder.param(block, ty)));
        state.pass(greens, reds, u32::MAX);
        state
    }

    /// Keeps an arrival's memory.
    fn give_back(&mut self, arrival: Arrival) {
        let spare = &mut self.at().spare;
        spare.give_back(arrival.state);
        spare.give_back_greens(arrival.greens);
        spare.give_back_reds(arrival.reds);
    }

    /// Finds the merge points and which of them are labels.
    fn survey(&mut self, greens: &[u64]) -> Result<Survey, Failure> {
        let mut survey = Survey::default();
        self.at().surveys = true;
        // From outside: the start is a label if anything else comes to it.
        survey.sources.insert(greens.to_vec(), 1);
        let mut to_do = vec![greens.to_vec()];
        let first = self.at().builder.block();
        let position = self.at().builder.position(first);
        let most = self.at().bounds.merge_points;
        while let Some(greens) = to_do.pop() {
            survey.merge_points += 1;
            if survey.merge_points > most {
                return Err(Failure::TooLong);
            }
            let start = self.fresh(&greens, first);
            self.at().surveys_handlers = false;
            let mut arrivals = self.iteration(&start, first)?;
            self.at().spare.give_back(start);
            self.at().spare.give_back_greens(greens);
            for arrival in &arrivals {
                if arrival.back_edge {
                    // Counted twice, so that it is a label whatever else comes there.
                    *survey.sources.entry(arrival.greens.clone()).or_insert(0) += 1;
                    if !survey.headers.contains(&arrival.greens) {
                        survey.headers.push(arrival.greens.clone());
                        if survey.sources[&arrival.greens] == 1 {
                            to_do.push(arrival.greens.clone());
                        }
                    }
                }
            }
            for (index, Arrival { greens: target, .. }) in arrivals.iter().enumerate() {
                if arrivals[..index].iter().any(|before| before.greens == *target) {
                    continue;
                }
                match survey.sources.get_mut(target) {
                    Some(sources) => *sources += 1,
                    None => {
                        survey.sources.insert(target.clone(), 1);
                        to_do.push(self.at().spare.greens(target));
                    }
                }
            }
            arrivals.drain(..).for_each(|arrival| self.give_back(arrival));
            self.at().arrivals = arrivals;
            let builder = &mut self.at().builder;
            builder.roll_back(position);
            builder.code.blocks[0].params.clear();
        }
        self.at().builder.give_up_blocks(0);
        self.at().frame_items = 0;
        self.at().surveys = false;
        Ok(survey)
    }

    /// The block of a label; the first time, the label is to be done.
    fn label(&mut self, greens: &[u64], to_do: &mut Vec<Chain>) -> BlockId {
        if let Some(&block) = self.labels.get(greens) {
            return block;
        }
        let block = self.at().builder.block();
        self.labels.insert(greens.to_vec(), block);
        let state = self.fresh(greens, block);
        to_do.push(Chain { state, block });
        block
    }

    fn unit(
        mut self,
        greens: &[u64],
        survey: &Survey,
        counter: &mut dyn FnMut(&[u64]) -> u32,
    ) -> Result<Unit, Failure> {
        let driver = self.driver;
        let first = self.at().builder.block();
        for &ty in driver.portal.reds {
            self.at().builder.param(first, ty);
        }
        let (mut to_do, mut group) = (Vec::new(), Vec::new());
        self.label(greens, &mut to_do);
        while let Some(Chain { state, block }) = to_do.pop() {
            if self.at().builder.code.insts.len() > self.at().bounds.insts {
                return Err(Failure::TooLong);
            }
            let mut arrivals = self.iteration(&state, block)?;
            self.at().spare.give_back(state);
            for arrival in &mut arrivals {
                let live = (driver.live)(&arrival.greens);
                arrival.state.pass(&arrival.greens, arrival.reds.iter().copied(), live);
            }
            while let Some(first) = arrivals.first() {
                let is_label = first.back_edge || survey.is_label(&first.greens);
                let greens = self.at().spare.greens(&first.greens);
                group.extend(arrivals.extract_if(.., |arrival| arrival.greens == greens));
                self.at().spare.give_back_greens(greens);
                if is_label {
                    for arrival in group.drain(..) {
                        self.go_to_label(arrival, &mut to_do, counter);
                    }
                } else {
                    let chain = self.join(&mut group);
                    to_do.push(chain);
                }
            }
            self.at().arrivals = arrivals;
        }
        let mut entries = vec![greens.to_vec()];
        let reached = |header: &&Vec<u64>| *header != greens && self.labels.contains_key(*header);
        entries.extend(survey.headers.iter().filter(reached).cloned());
        let blocks =
            entries.iter().enumerate().map(|(index, greens)| self.entry(greens, index == 0, counter)).collect();
        let builder = &mut self.at().builder;
        builder.end(first, End::Enter(blocks));
        builder.join_returns();
        builder.sweep();
        let shallow = self.shallow.take().expect("the recorder is back between runs");
        Ok(Unit { code: shallow.into_code(), entries, merge_points: survey.merge_points })
    }

    /// Ends a way at a label.
    fn go_to_label(&mut self, arrival: Arrival, to_do: &mut Vec<Chain>, counter: &mut dyn FnMut(&[u64]) -> u32) {
        let target = self.label(&arrival.greens, to_do);
        let number = arrival.back_edge.then(|| counter(&arrival.greens));
        let shallow = self.at();
        shallow.spare.give_back_greens(arrival.greens);
        shallow.spare.give_back_reds(arrival.reds);
        shallow.go_on_in(arrival.state, arrival.block);
        if let Some(number) = number {
            count(shallow, number);
        }
        shallow.flush();
        let reds = std::mem::take(&mut shallow.state.reds);
        shallow.builder.end(arrival.block, End::Jump(target, reds));
    }

    /// An entry: tests that the frame has all items, counts calls, and goes to the label.
    fn entry(&mut self, greens: &[u64], counts: bool, counter: &mut dyn FnMut(&[u64]) -> u32) -> BlockId {
        let (driver, target) = (self.driver, self.labels[greens]);
        let block = self.at().builder.block();
        let state = self.fresh(greens, block);
        let number = counts.then(|| counter(greens));
        let shallow = self.at();
        shallow.go_on_in(state, block);
        if let (Some(array), Some((position, _))) = (frame_array(driver), driver.portal.virtualizable)
            && shallow.frame_items > 0
        {
            let exit = shallow.exit(UNFIT);
            let frame = shallow.state.reds[position];
            let items = shallow.frame_items;
            let emit = |shallow: &mut Shallow, op, a, b, aux| {
                Arg::Op(shallow.builder.emit(block, op, [a, b, Arg::Const(0)], aux))
            };
            let len = emit(shallow, Op::Len, frame, Arg::Const(0), Aux::Field(array));
            let enough = emit(shallow, Op::Ule, Arg::Const(items), len, Aux::None);
            emit(shallow, Op::GuardTrue, enough, Arg::Const(0), Aux::Index(exit.0));
        }
        if let Some(number) = number {
            count(shallow, number);
        }
        let reds = std::mem::take(&mut shallow.state.reds);
        shallow.builder.end(block, End::Jump(target, reds));
        block
    }

    /// Goes on where several ways of one iteration meet.
    fn join(&mut self, group: &mut Vec<Arrival>) -> Chain {
        if group.len() == 1 {
            let Arrival { greens, reds, state, block, .. } = group.remove(0);
            self.at().spare.give_back_greens(greens);
            self.at().spare.give_back_reds(reds);
            return Chain { state, block };
        }
        let block = self.at().builder.block();
        let mut state = self.at().spare.state(&group[0].state);
        for arrival in &group[1..] {
            state.keep_common(&arrival.state);
        }
        let mut passed: Vec<Vec<Arg>> = vec![Vec::new(); group.len()];
        for position in 0..state.reds.len() {
            let values: Vec<Arg> = group.iter().map(|arrival| arrival.state.reds[position]).collect();
            let ty = self.driver.portal.reds[position];
            state.reds[position] = self.phi(block, &values, ty, &mut passed);
        }
        // Words of the frame: what any way has changed is brought along by all; what some way does not have in a register, and none
        // has changed, is loaded again when it is wanted.
        let mut words: Vec<(&'static crate::object::Field, u64)> = Vec::new();
        for held in group.iter().flat_map(|arrival| &arrival.state.held) {
            if !words.iter().any(|word| (word.0.offset, word.1) == (held.field.offset, held.index)) {
                words.push((held.field, held.index));
            }
        }
        state.held.clear();
        for (field, index) in words {
            let dirty = group
                .iter()
                .flat_map(|arrival| &arrival.state.held)
                .any(|held| held.dirty && (held.field.offset, held.index) == (field.offset, index));
            let mut values = Vec::new();
            for arrival in group.iter() {
                match arrival.state.held(field, index) {
                    Some(value) => values.push(value),
                    None if dirty => {
                        let shallow = self.at();
                        let state = shallow.spare.state(&arrival.state);
                        shallow.go_on_in(state, arrival.block);
                        values.push(shallow.reload(field, index));
                    }
                    None => break,
                }
            }
            if values.len() == group.len() {
                let value = self.phi(block, &values, field.ty(), &mut passed);
                state.hold(field, index, value, dirty);
            }
        }
        for (arrival, args) in group.drain(..).zip(passed) {
            self.at().builder.end(arrival.block, End::Jump(block, args));
            self.give_back(arrival);
        }
        Chain { state, block }
    }

    /// One value for what several ways bring: a parameter, unless they agree.
    fn phi(&mut self, block: BlockId, values: &[Arg], ty: crate::word::Type, passed: &mut [Vec<Arg>]) -> Arg {
        if values.iter().all(|value| *value == values[0]) {
            return values[0];
        }
        for (args, &value) in passed.iter_mut().zip(values) {
            args.push(value);
        }
        Arg::Op(self.at().builder.param(block, ty))
    }
}

/// Counts down, and leaves when the count is used up.
fn count(shallow: &mut Shallow, number: u32) {
    let exit = shallow.exit(COUNTED);
    let args = [Arg::Const(u64::from(number)), Arg::Const(0), Arg::Const(0)];
    shallow.builder.emit(shallow.block, Op::GuardCount, args, Aux::Index(exit.0));
}
