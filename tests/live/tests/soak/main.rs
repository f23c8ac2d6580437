//! Every way back from every step of every strategy, and streams through drains: real rollouts on a real API server and
//! gateway, several services side by side, with users who ask all along and somebody who looks on from outside.
//!
//! ```text
//! matrix ─▶ queue of cells ─▶ lanes, a service each ─▶ push, wait for the step, do harm ─▶ verdict ─▶ a line, then a table
//!                                     └── sampler: route and pods, four times a second, without Weir
//! ```
//! `make soak-matrix` and `make soak-streams` run it. A cell that breaks a promise is told and the rest goes on; the end
//! fails.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "what a soak met is its answer")]

mod cell;
mod experiment;
mod harm;
mod lane;
mod losses;
mod rollout;
mod standing;
mod streams;
mod table;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::task::{JoinSet, LocalSet};
use weir_live::{GPUS_OF_A_NODE, Nodes, asked, asked_text, shared_with};

use cell::{Cell, Way, matrix};
use lane::{GPUS_OF_A_LANE, Lane};
use table::Table;

/// Services side by side, unless `WEIR_LANES` says another number.
const LANES: usize = 4;

#[tokio::test]
async fn every_way_back_from_every_step_of_every_strategy() {
    let only = asked_text("WEIR_ONLY").unwrap_or_default();
    let cells: VecDeque<Cell> = matrix()
        .into_iter()
        .filter(|cell| cell.to_string().contains(&only))
        // Asked for by name: not all of it holds yet, and docs/strategies.md says what.
        .filter(|cell| cell.way != Way::NodeLost || only.contains(Way::NodeLost.as_str()))
        .collect();
    assert!(!cells.is_empty(), "no cell is called `{only}`");
    LocalSet::new().run_until(play(cells)).await;
}

async fn play(cells: VecDeque<Cell>) {
    let table = Rc::new(RefCell::new(Table::new(cells.len())));
    let many = asked("WEIR_LANES", LANES).min(cells.len());
    let common = (many * GPUS_OF_A_LANE as usize).div_ceil(GPUS_OF_A_NODE);
    shared_with(Nodes {
        with_gpus: common + many,
        ..Nodes::default()
    });
    let queue = Rc::new(RefCell::new(cells));
    let mut lanes = JoinSet::new();
    for number in 1..=many {
        let own_node = format!("gpu-{}", common + number);
        lanes.spawn_local(work(number, own_node, queue.clone(), table.clone()));
    }
    // A lane that panics has said why; its cell is missing in the table.
    while lanes.join_next().await.is_some() {}
    let table = table.borrow();
    println!("{table}");
    assert!(table.is_clean(), "the table above says what was broken");
}

/// Takes cells until there are no more.
async fn work(
    number: usize,
    own_node: String,
    queue: Rc<RefCell<VecDeque<Cell>>>,
    table: Rc<RefCell<Table>>,
) {
    let mut lane = Lane::open(number, own_node).await;
    loop {
        let Some(cell) = queue.borrow_mut().pop_front() else {
            return;
        };
        let told = lane.play(cell).await;
        println!("{told}");
        table.borrow_mut().add(told);
    }
}
