//! send HOST TOKEN story|COUNT: sends events with posthog-rs until its standard input ends, and
//! prints how many the SDK reported as lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use posthog_rs::{client, ClientOptionsBuilder, Event, PostHogError};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, host, token, what] = &arguments[..] else {
        panic!("send HOST TOKEN story|COUNT");
    };
    let count: Option<usize> = what.parse().ok();
    let lost = Arc::new(AtomicUsize::new(0));
    let counter = lost.clone();
    let options = ClientOptionsBuilder::default()
        .api_key(token.clone())
        .host(host.clone())
        .flush_at(count.unwrap_or(100))
        .on_error(move |error| {
            if let PostHogError::Capture(failure) = error {
                counter.fetch_add(failure.event_count(), Ordering::SeqCst);
            }
        })
        .build()
        .expect("options");
    let posthog = client(options).await;
    if let Some(count) = count {
        for index in 0..count {
            posthog.capture(Event::new(format!("seen {index}"), "ada".to_string()));
        }
    } else {
        for name in ["www", "app"] {
            let mut seen = Event::new("seen", "ada");
            seen.insert_prop("$host", format!("{name}.example.com")).expect("a property");
            seen.insert_prop("n", 1.5).expect("a property");
            seen.insert_prop("plan", "free").expect("a property");
            posthog.capture(seen);
        }
        let mut grouped = Event::new("grouped", "ada");
        grouped.add_group("company", "c1");
        posthog.capture(grouped);
        let mut identified = Event::new("$identify", "ada");
        identified
            .insert_prop("$set", HashMap::from([("email", "ada@example.com")]))
            .expect("a property");
        posthog.capture(identified);
        posthog.alias("ada", "countess");
        posthog.group_identify("company", "c1", HashMap::from([("size", 3)])).expect("properties");
    }
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).expect("standard input");
    posthog.shutdown().await;
    println!("{{\"lost\":{}}}", lost.load(Ordering::SeqCst));
}
