//! What the cells told: a line each, a table of all, and its sums as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::json;
use tokio::time::Instant;

use crate::cell::{Cell, Strategy, Way};

/// What became of a cell.
pub(crate) struct Told {
    pub(crate) cell: Cell,
    pub(crate) seconds: u64,
    pub(crate) requests: u64,
    pub(crate) lost: u64,
    /// Most that were held at a sample, and what the plan declared.
    pub(crate) gpus: (u32, u32),
    pub(crate) back_ms: Option<u64>,
    pub(crate) samples: usize,
    /// What was not as it must be; nothing: it is clean.
    pub(crate) broken: Vec<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peak, plan) = self.gpus;
        let followed = self.back_ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
        write!(
            f,
            "{}  {:>5} requests  {:>4} lost  {peak}/{plan} GPUs  followed in {followed:>8}  {:>3} s  ",
            self.cell, self.requests, self.lost, self.seconds
        )?;
        match self.broken.is_empty() {
            true => write!(f, "ok"),
            false => write!(f, "BROKEN: {}", self.broken.join("; ")),
        }
    }
}

/// All of them.
pub(crate) struct Table {
    /// Cells that there are.
    all: usize,
    began: Instant,
    told: Vec<Told>,
}

impl Table {
    pub(crate) fn new(all: usize) -> Self {
        Self {
            all,
            began: Instant::now(),
            told: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, told: Told) {
        self.told.push(told);
    }

    /// Whether every cell was played, and none broke anything.
    pub(crate) fn is_clean(&self) -> bool {
        self.told.len() == self.all && self.told.iter().all(|told| told.broken.is_empty())
    }

    fn sums(&self) -> serde_json::Value {
        let sum = |of: fn(&Told) -> u64| self.told.iter().map(of).sum::<u64>();
        let lost = |way: Way| {
            let met = self.told.iter().filter(|told| told.cell.way == way);
            met.map(|told| told.lost).sum::<u64>()
        };
        json!({
            "cells": self.all,
            "played": self.told.len(),
            "broken": self.told.iter().filter(|told| !told.broken.is_empty()).count(),
            "requests": sum(|told| told.requests),
            "samples": sum(|told| told.samples as u64),
            "lost": Way::ALL.map(|way| (way.as_str(), lost(way))).into_iter().collect::<BTreeMap<_, _>>(),
            "seconds": self.began.elapsed().as_secs(),
        })
    }
}

impl fmt::Display for Table {
    /// Of each strategy and way: cells that were played, and requests that were lost in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        let ways = Way::ALL.map(Way::as_str).join(" | ");
        writeln!(f, "| cells, requests lost | {ways} |")?;
        writeln!(f, "|---|{}", "---|".repeat(Way::ALL.len()))?;
        for strategy in Strategy::ALL {
            write!(f, "| {strategy} |")?;
            for way in Way::ALL {
                let met = |told: &&Told| told.cell.strategy == strategy && told.cell.way == way;
                let met: Vec<&Told> = self.told.iter().filter(met).collect();
                match met.len() {
                    0 => write!(f, " – |")?,
                    cells => {
                        let lost: u64 = met.iter().map(|told| told.lost).sum();
                        write!(f, " {cells}, {lost} |")?;
                    }
                }
            }
            writeln!(f)?;
        }
        write!(f, "{}", self.sums())
    }
}
