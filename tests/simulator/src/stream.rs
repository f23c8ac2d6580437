//! The body of a streamed answer: one server-sent event a token, at the pace of the plan.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use crate::metrics::Finished;
use crate::plan::{Ending, Plan};
use crate::pod::Ticket;
use crate::random::Random;

/// What the model says, one word a token.
const WORDS: [&str; 8] = ["the", "weir", "holds", "back", "and", "lets", "pass", "water"];
/// A gap is this share longer or shorter than the model's, so that tokens of many streams do not march in step.
const JITTER: f64 = 0.2;

/// The plan of this stream ended in a cut: hyper closes the connection without the last chunk.
#[derive(Debug, thiserror::Error)]
#[error("the stream was cut after {0} tokens")]
pub(crate) struct Cut(u32);

/// The word of one token of one request.
pub(crate) fn word(request: u64, token: u32) -> &'static str {
    let place = (request.wrapping_mul(3)).wrapping_add(u64::from(token)) % WORDS.len() as u64;
    WORDS[usize::try_from(place).expect("less than the number of words")]
}

/// A streamed answer. Its first event is ready at once: the head of the answer waited for it, and both leave in
/// one write.
pub(crate) struct TokenStream {
    ticket: Ticket,
    plan: Plan,
    number: u64,
    random: Random,
    sent: u32,
    first_at: Instant,
    last_at: Instant,
    pause: Pin<Box<Sleep>>,
    ended: bool,
}

impl TokenStream {
    pub(crate) fn new(ticket: Ticket, plan: Plan, number: u64, random: Random) -> Self {
        let now = Instant::now();
        let pause = Box::pin(tokio::time::sleep_until(now));
        Self {
            ticket,
            plan,
            number,
            random,
            sent: 0,
            first_at: now,
            last_at: now,
            pause,
            ended: false,
        }
    }

    fn next_event(&mut self) -> Bytes {
        let now = Instant::now();
        let last = self.sent + 1 == self.plan.tokens && !matches!(self.plan.ending, Ending::CutAfter(_));
        let event = self.event(last);
        self.count(now);
        self.sent += 1;
        self.last_at = now;
        if last {
            self.complete(now);
        } else {
            let jitter = self.random.within(1.0 - JITTER, 1.0 + JITTER);
            self.pause.as_mut().reset(now + self.plan.gap.mul_f64(jitter));
        }
        event
    }

    fn event(&self, last: bool) -> Bytes {
        let reason = match self.finished() {
            reason if last => format!("\"{}\"", reason.as_str()),
            _ => "null".to_owned(),
        };
        let space = if self.sent == 0 { "" } else { " " };
        let word = word(self.number, self.sent);
        let done = if last { "data: [DONE]\n\n" } else { "" };
        let number = self.number;
        let model = serde_json::Value::from(self.ticket.pod.model.name.as_str());
        Bytes::from(format!(
            "data: {{\"id\":\"gen-{number}\",\"object\":\"text_completion\",\"model\":{model},\"choices\":\
             [{{\"index\":0,\"text\":\"{space}{word}\",\"finish_reason\":{reason}}}]}}\n\n{done}"
        ))
    }

    fn finished(&self) -> Finished {
        if self.plan.ending == Ending::Length {
            Finished::Length
        } else {
            Finished::Stop
        }
    }

    fn count(&self, now: Instant) {
        let mut counters = self.ticket.pod.metrics.counters();
        counters.generation_tokens += 1;
        if self.sent > 0 {
            counters.inter_token.observe(now - self.last_at);
        }
    }

    fn complete(&mut self, now: Instant) {
        self.ended = true;
        {
            let mut counters = self.ticket.pod.metrics.counters();
            counters.whole.observe(now - self.ticket.arrived);
            if self.sent > 1 {
                counters
                    .per_output_token
                    .observe((now - self.first_at) / (self.sent - 1));
            }
        }
        let reason = self.finished();
        self.ticket.finish(reason);
    }

    fn cut(&mut self) -> Cut {
        self.ended = true;
        self.ticket.pod.metrics.counters().responses_cut += 1;
        self.ticket.fail();
        Cut(self.sent)
    }
}

impl Body for TokenStream {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.sent > 0 {
            ready!(self.pause.as_mut().poll(context));
        }
        if self.plan.ending == Ending::CutAfter(self.sent) {
            return Poll::Ready(Some(Err(self.cut())));
        }
        Poll::Ready(Some(Ok(Frame::data(self.next_event()))))
    }
}
