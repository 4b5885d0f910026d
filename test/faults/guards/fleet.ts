import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { eventually } from '../../harness/eventually.ts';
import type { Cluster } from './cluster.ts';
import { type FromGuard, receive, send, type ToGuard } from './control-wire.ts';
import { Guard } from './guard.ts';
import type { Question } from './question.ts';

/** Number of guards that check each access: every guard fetches the facts from their owners. */
export const checkingMax = 4;

/** The guard processes of one test. */
export class Fleet implements AsyncDisposable {
  readonly guards: readonly Guard[];
  readonly #control: Server;
  readonly #questions = new Map<number, Question>();
  readonly #sockets = new Map<string, Socket>();
  readonly #acceptedBy = new Map<number, Set<string>>();
  #questionCount = 0;
  readonly #reports = new Map<string, Extract<FromGuard, { kind: 'report' }>>();
  #lastReport = 0;

  private constructor(guards: readonly Guard[], control: Server) {
    this.guards = guards;
    this.#control = control;
    control.on('connection', (socket: Socket) => void this.#serve(socket));
  }

  /** Starts this number of guard processes, each with its own links to the cluster. */
  static async start(
    cluster: Cluster,
    { count, without }: { count: number; without?: string | undefined },
  ): Promise<Fleet> {
    await using started = new AsyncDisposableStack();
    const histories = join(cluster.directory, 'histories');
    await mkdir(histories, { recursive: true });
    const controlPath = join(cluster.directory, 'control.sock');
    const control = createServer();
    started.defer(() => void control.close());
    control.listen(controlPath);
    await once(control, 'listening');
    const guards: Guard[] = [];
    for (let index = 1; index <= count; index++) {
      const name = `guard-${String(index).padStart(2, '0')}`;
      const guard = await Guard.prepare(cluster, {
        ...{ name, number: index, controlPath, histories, without },
      });
      guards.push(started.use(guard));
    }
    const fleet = new Fleet(guards, control);
    const [first, ...others] = guards;
    await first?.start(); // the others use the code that it has compiled
    await fleet.#untilThere(1);
    await Promise.all(others.map((guard) => guard.start()));
    await fleet.#untilThere(count);
    started.move();
    return fleet;
  }

  async #untilThere(count: number): Promise<void> {
    await eventually(() => {
      if (this.#sockets.size < count) throw new Error(`${this.#sockets.size} guards are there`);
    });
  }

  /** A new number for a question. */
  newQuestionId(): number {
    return ++this.#questionCount;
  }

  /** From now on some guards check this; each question has its own selection. */
  check(question: Question): void {
    this.#questions.set(question.id, question);
    this.#acceptedBy.set(question.id, new Set());
    for (const { name } of this.guards) {
      if (this.isChecking(name, question.id))
        this.#send(name, { kind: 'check', questions: [question] });
    }
  }

  /** Whether this guard checks this question. */
  isChecking(name: string, id: number): boolean {
    const index = this.guards.findIndex((guard) => guard.name === name);
    return (index + 7 * id) % this.guards.length < checkingMax;
  }

  /** Guards that have refused it check it again at once. */
  recheck(id: number): void {
    this.#sendAll({ kind: 'recheck', id });
  }

  retire(ids: number[]): void {
    for (const id of ids) {
      this.#questions.delete(id);
      this.#acceptedBy.delete(id);
    }
    this.#sendAll({ kind: 'retire', ids });
  }

  retireAll(): void {
    this.retire([...this.#questions.keys()]);
  }

  /** The number of guards that have accepted this since the last check. */
  acceptedBy(id: number): number {
    return this.#acceptedBy.get(id)?.size ?? 0;
  }

  /** Makes every guard check everything again; returns what each accepts from memory. */
  async reports(): Promise<{ name: string; fromMemory: number[] }[]> {
    const number = ++this.#lastReport;
    this.#sendAll({ kind: 'report', number });
    return await eventually(() => {
      const reports = [...this.#reports].filter(([, report]) => report.number >= number);
      if (reports.length < this.guards.length)
        throw new Error(`${reports.length} guards have reported`);
      return reports.map(([name, report]) => ({ name, ...report }));
    });
  }

  /** Makes every guard begin a new file; returns the files that are complete. */
  async turnPages(): Promise<{ guard: string; file: string }[]> {
    const written = this.guards.flatMap((guard) => {
      const files = guard.histories.splice(0);
      this.#send(guard.name, { kind: 'turnPage', file: guard.newPage() });
      return files.map((file) => ({ guard: guard.name, file }));
    });
    await this.reports();
    return written;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.guards.map((guard) => guard[Symbol.asyncDispose]()));
    this.#control.close();
  }

  #send(name: string, message: ToGuard): void {
    const socket = this.#sockets.get(name);
    if (socket) send(socket, message);
  }

  #sendAll(message: ToGuard): void {
    for (const name of this.#sockets.keys()) this.#send(name, message);
  }

  async #serve(socket: Socket): Promise<void> {
    let name = '';
    await receive<FromGuard>(socket, (message) => {
      switch (message.kind) {
        case 'hello':
          name = message.name;
          this.#sockets.set(name, socket);
          this.#send(name, {
            kind: 'check',
            questions: [...this.#questions.values()].filter(({ id }) => this.isChecking(name, id)),
          });
          this.#send(name, { kind: 'report', number: this.#lastReport });
          break;
        case 'accepted':
          this.#acceptedBy.get(message.id)?.add(name);
          break;
        case 'report':
          this.#reports.set(name, message);
          break;
      }
    }).catch(() => {}); // its process was killed
    if (this.#sockets.get(name) === socket) this.#sockets.delete(name);
    socket.destroy();
  }
}
