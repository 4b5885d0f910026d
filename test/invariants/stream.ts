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
/** Far beyond what a busy machine takes; where the messages come, nothing waits for so long. */
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

/** Every event is out at least once, in the log's order, as the log has it; and nothing else is. */
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
    // What was numbered after the snapshot of the log was taken cannot be compared.
    if (sequence > log.sequence) continue;
    const same =
      logged?.id === id &&
      logged.body === body &&
      subject === `${service}.${logged.event}.${logged.subject}`;
    findings.expect(same, 'what is published is what the log has', `${service} ${sequence}: ${id}`);
    if (seen.has(id)) continue;
    seen.add(id);
    findings.expect(
      sequence > highest,
      'events come in order when they first come',
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
