import { streamKeepsMs } from '@silo/events/stream.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import { AckPolicy, DeliverPolicy, type MsgHdrs, NatsError, nanos } from 'nats';
import { connectToNats, jetStreamOf, managerOf } from '../harness/patient-nats.ts';
import type { Deployment, ServiceLog, Snapshot } from './snapshot.ts';
import { Findings, type Violation } from './violation.ts';

/** One message of the stream. */
export type Streamed = {
  service: ServiceName;
  /** Below the deployment's prefix: `project.moved.prj_…`. */
  subject: string;
  /** `ce-id`. */
  id: string;
  /** `ce-sequence`. */
  sequence: number;
  body: string;
  headers: string;
};

/** Clocks of broker and services may differ by this much at the old end of the stream. */
const clockMarginMs = 60 * 60 * 1000;
const streamNotFound = 10059;
/** Far more than a busy machine takes; if the messages arrive, nothing waits this long. */
const fetchMs = 60_000;

/** Reads a deployment's stream, from its first message to its last. */
export async function readStream(deployment: Deployment): Promise<Streamed[]> {
  const { natsUrl, natsStream, natsSubjectPrefix } = deployment;
  const connection = await connectToNats({ url: natsUrl });
  try {
    const manager = await managerOf(connection);
    const { state } = await manager.streams.info(natsStream);
    if (state.messages === 0) return [];
    const consumer = await manager.consumers.add(natsStream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.All,
      mem_storage: true,
      inactive_threshold: nanos(60_000),
    });
    const reader = await jetStreamOf(connection).consumers.get(natsStream, consumer.name);
    const streamed: Streamed[] = [];
    for (let reached = 0; reached < state.last_seq; ) {
      const before = reached;
      const messages = await reader.fetch({ max_messages: 500, expires: fetchMs });
      for await (const message of messages) {
        reached = message.info.streamSequence;
        const subject = message.subject.slice(natsSubjectPrefix.length + 1);
        streamed.push(messageOf(subject, message.headers, message.string()));
        if (reached >= state.last_seq) break;
      }
      if (reached === before) throw new Error('the stream ended before all of it was read');
    }
    return streamed;
  } catch (error) {
    if (error instanceof NatsError && error.api_error?.err_code === streamNotFound) return [];
    throw error;
  } finally {
    await connection.close();
  }
}

function messageOf(subject: string, headers: MsgHdrs | undefined, body: string): Streamed {
  return {
    service: serviceNames.find((name) => subject.startsWith(`${name}.`)) ?? 'org',
    subject,
    id: headers?.get('ce-id') ?? '',
    sequence: Number(headers?.get('ce-sequence')),
    body,
    headers: (headers?.keys() ?? []).map((key) => `${key}: ${headers?.get(key)}`).join('\n'),
  };
}

/**
 * Checks that every event is published at least once, in the log's order and equal to the log, and
 * no others.
 */
export function checkStream({ logs }: Snapshot, streamed: readonly Streamed[]): Violation[] {
  const findings = new Findings();
  for (const log of Object.values(logs)) {
    checkService(
      findings,
      log,
      streamed.filter(({ service }) => service === log.service),
    );
  }
  return findings.violations;
}

function checkService(findings: Findings, log: ServiceLog, streamed: readonly Streamed[]): void {
  const { service, events, published } = log;
  const seen = new Set<string>();
  let highest = 0;
  for (const { id, sequence, subject, body } of streamed) {
    const logged = events[sequence - 1];
    // Events that were sequenced after the snapshot of the log cannot be compared.
    if (sequence > log.sequence) continue;
    const same =
      logged?.id === id &&
      logged.body === body &&
      subject === `${service}.${logged.event}.${logged.subject}`;
    findings.expect(
      same,
      'published events equal those of the log',
      `${service} ${sequence}: ${id}`,
    );
    if (seen.has(id)) continue;
    seen.add(id);
    findings.expect(
      sequence > highest,
      'events are first published in order',
      `${service}: ${sequence} after ${highest}`,
    );
    highest = Math.max(highest, sequence);
  }
  const keptSince = Date.now() - streamKeepsMs + clockMarginMs;
  for (const { _id, id, time } of events) {
    if (_id > Math.max(published, highest) || time.getTime() < keptSince) continue;
    findings.expect(seen.has(id), 'every event is published', `${service} ${_id}: ${id}`);
  }
}
