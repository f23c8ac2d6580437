//! `weir watch`: on a terminal a page that is drawn again, elsewhere a line an event.
//!
//! Ctrl-C ends the watching and nothing else.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::signal::ctrl_c;
use tokio::time::sleep;
use weir_domain::audit::Entry;
use weir_domain::run::{Run, RunStatus};

use super::act::follow;
use super::args::{Format, Which};
use super::client::{Conversation, unexpected};
use super::output::{Exit, Failure, Output};
use crate::protocol::{Answer, Request};
use crate::view;

/// The page is drawn again this often when nothing happens, because it shows time passing.
const TICK: Duration = Duration::from_secs(1);
/// A host that was started again is looked for this often.
const RECONNECT: Duration = Duration::from_millis(500);
/// And for this many times: half a minute, which an upgrade of the host takes at most.
const RECONNECTS: u32 = 60;

pub(super) async fn watch(args: &Which, out: &mut Output) -> Result<Exit, Failure> {
    let mut watching = Watching {
        args,
        run: None,
        entries: Vec::new(),
        drawn: 0,
        page: out.format == Format::Text && io::stdout().is_terminal(),
    };
    let ended = tokio::select! {
        ended = watching.follow(out) => ended,
        interrupt = ctrl_c() => {
            interrupt.map_err(|error| Failure::new(format!("Ctrl-C cannot be waited for: {error}")))?;
            return Ok(watching.left(out));
        }
    };
    ended.map(|()| watching.exit(out))
}

struct Watching<'a> {
    args: &'a Which,
    run: Option<Box<Run>>,
    entries: Vec<Entry>,
    /// Lines of the page that stand on the terminal.
    drawn: usize,
    page: bool,
}

impl Watching<'_> {
    /// Follows the run until it is over or nobody reads any more, over restarts of the host.
    async fn follow(&mut self, out: &mut Output) -> Result<(), Failure> {
        let mut tries = 0;
        while !self.over() && !out.gone {
            let request = Request::Events {
                run: self.args.run.clone(),
                after: self.entries.last().map_or(0, |entry| entry.n),
            };
            match Conversation::ask(&self.args.host, &request).await {
                Ok(conversation) => {
                    tries = 0;
                    self.listen(conversation, out).await?;
                }
                // Before the first answer a host that is away is an error; later it may be on its way back.
                Err(failure) if self.run.is_none() || tries == RECONNECTS => return Err(failure),
                Err(_) => tries += 1,
            }
            if !self.over() {
                sleep(RECONNECT).await;
            }
        }
        Ok(())
    }

    /// Listens until the host has said all, or went away.
    async fn listen(&mut self, mut conversation: Conversation, out: &mut Output) -> Result<(), Failure> {
        loop {
            // Nothing of an answer is lost when the page is drawn: the reading is one future from its start to its end.
            let mut next = std::pin::pin!(conversation.next());
            let answer = loop {
                tokio::select! {
                    answer = next.as_mut() => break answer,
                    () = sleep(TICK), if self.page => self.draw(out),
                }
            };
            match answer {
                Ok(Some(Answer::Run { run, entries })) => self.news(run, entries, out),
                Ok(Some(Answer::Failed(why))) => return Err(Failure::new(why)),
                Ok(Some(_)) => return Err(unexpected()),
                Ok(None) => return Ok(()),
                Err(failure) if self.run.is_none() => return Err(failure),
                Err(_) => return Ok(()),
            }
            if out.gone {
                return Ok(());
            }
        }
    }

    fn news(&mut self, run: Box<Run>, entries: Vec<Entry>, out: &mut Output) {
        let zone = out.look().zone;
        for entry in entries.iter().filter(|_| !self.page) {
            match out.format {
                Format::Json => out.json(entry),
                Format::Text => out.text(&view::line(&run, entry, &zone)),
            }
        }
        self.run = Some(run);
        self.entries.extend(entries);
        if self.page {
            self.draw(out);
        }
    }

    /// Draws the page over the last one.
    fn draw(&mut self, out: &mut Output) {
        let Some(run) = &self.run else { return };
        let lines = view::live(run, &self.entries, &out.page());
        // Up to the first line of the last page, clear what is below, write again.
        let up = match self.drawn {
            0 => String::new(),
            drawn => format!("\u{1b}[{drawn}A\u{1b}[J"),
        };
        out.text(&format!("{up}{}\n", lines.join("\n")));
        self.drawn = lines.len();
    }

    fn over(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.is_over())
    }

    fn left(&self, out: &mut Output) -> Exit {
        if let Some(run) = &self.run {
            // The terminal has written ^C at the start of a line.
            let _ = writeln!(io::stderr());
            let name = view::name(run);
            out.hint(&format!(
                "{name} goes on without you; come back: {}",
                follow(run, &self.args.host)
            ));
        }
        Exit::Negative
    }

    fn exit(&self, out: &mut Output) -> Exit {
        let Some(run) = &self.run else {
            return Exit::Negative;
        };
        if self.page {
            let words = view::text::clean(&run.status.words());
            out.text(&format!("\n{} {words}", view::name(run)));
        }
        match run.status {
            RunStatus::Succeeded => Exit::Answered,
            _ => Exit::Negative,
        }
    }
}
