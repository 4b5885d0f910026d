import type { Answer, FactReader, TokenAnswer } from '@silo/access/access.ts';
import { type FactKind, type Known, nameOf } from '@silo/guard/core/facts.ts';
import { type AccessCheck, decide, type Recall } from '@silo/guard/core/lookup.ts';
import type { Positions } from '@silo/guard/core/position.ts';
import { fetchFact } from '@silo/guard/fetch-fact.ts';
import { remoteFactReader } from '@silo/guard/remote-fact-reader.ts';
import type { LogDocument, OutboxGroup } from '@silo/log/documents.ts';
import { connectPeers } from '@silo/service/peers.ts';
import { fingerprintOf, hashOf } from '@silo/tokens/secrets.ts';
import { eventually } from '../../harness/eventually.ts';
import { machineMs } from '../../harness/machine-clock.ts';
import type { Cluster } from './cluster.ts';
import { accepts, needOf, type Question } from './question.ts';

const deadlineMs = 30_000;
const majority = { readConcern: { level: 'majority' } } as const;

/** Determines the truth from the databases and the facts' owners, without a cache. */
export class Oracle implements Disposable {
  readonly #cluster: Cluster;
  readonly #factReader: FactReader;
  readonly #close: () => void;
  /** How long a required event may still be unknown to a guard with a read lease. */
  readonly #boundMs: number;

  constructor(cluster: Cluster, { leaseMs, renewMs }: { leaseMs: number; renewMs: number }) {
    const { ca, cert, key } = cluster.certificates.guard;
    const { peers, close } = connectPeers(cluster.internalAddresses, { ca, cert, key }, 'us');
    this.#cluster = cluster;
    this.#factReader = remoteFactReader(peers);
    this.#close = close;
    this.#boundMs = leaseMs + renewMs;
  }

  /**
   * The time from which no guard may accept any of these, although no RPC has returned: a renewal
   * and a lease after their end became required. Undefined if they have not all ended, or not yet.
   */
  async boundOf(questions: Question[]): Promise<number | undefined> {
    if (await this.#acceptsAny(questions)) return undefined;
    const heads = await this.#headsOfNow();
    await eventually(async () => {
      const required = await this.#cluster.mongo
        .db('silo_token')
        .collection<Positions & { _id: string }>('requirements')
        .findOne({ _id: 'required' }, majority);
      for (const [source, sequence] of heads) {
        const reached = required?.[source]?.sequence ?? 0;
        if (reached < sequence) throw new Error(`${source}: ${reached} of ${sequence} is required`);
      }
    });
    return machineMs() + this.#boundMs;
  }

  async #acceptsAny(questions: Question[]): Promise<boolean> {
    return await eventually(async () => {
      const signal = AbortSignal.timeout(deadlineMs);
      const accepted = questions.map(async (question) =>
        accepts(question, await this.#check(question, signal)),
      );
      return (await Promise.all(accepted)).includes(true);
    });
  }

  /** The answer by the guards' rule, from facts that are read now. */
  async #check(question: Question, signal: AbortSignal): Promise<TokenAnswer | Answer> {
    const check = checkOf(question);
    const found = new Map<string, Known<unknown>>();
    for (;;) {
      const recall = (kind: FactKind, id: string) => found.get(`${kind} ${id}`);
      const verdict = decide(check, recall as Recall, new Date());
      if ('answer' in verdict) return verdict.answer;
      for (const ref of verdict.missing) {
        const value = await fetchFact(this.#factReader, ref, signal);
        found.set(`${ref.kind} ${ref.id}`, { value, name: nameOf(ref, value as never) });
      }
    }
  }

  /** The last sequence of each source's log, including everything that is committed now. */
  async #headsOfNow(): Promise<['org' | 'project' | 'token', number][]> {
    const sources = ['org', 'project', 'token'] as const;
    return await Promise.all(
      sources.map(async (source): Promise<[typeof source, number]> => {
        const db = this.#cluster.mongo.db(`silo_${source}`);
        const outbox = db.collection<OutboxGroup>('outbox');
        const read = () => outbox.find({}, { ...majority, projection: { _id: 1 } }).toArray();
        const waiting = await eventually(read);
        const ids = waiting.map(({ _id }) => _id);
        await eventually(async () => {
          const left = await outbox.countDocuments({ _id: { $in: ids } }, majority);
          if (left > 0) throw new Error(`${source} has ${left} groups to sequence`);
        });
        const log = await eventually(() => db.collection<LogDocument>('log').findOne({}, majority));
        return [source, log?.sequence ?? 0];
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

function checkOf(question: Question): AccessCheck {
  if (question.kind === 'token') {
    const { token } = question;
    return { kind: 'token', token, fingerprint: fingerprintOf(token) };
  }
  const keyHash = hashOf(question.key);
  return {
    kind: 'access',
    question: { ...needOf(question), keyHash },
    keyHash: keyHash.toString('hex'),
  };
}
