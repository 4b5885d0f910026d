// Run by the shell that `processes.ts` starts beside each owner, after the owner has ended: ends
// the processes that the owner left running. Input: one line with the owner's identity, then one
// record file per line.
import { createInterface } from 'node:readline';
import { isIdentity, type ProcessIdentity } from './process-identity.ts';
import { reapOrphan } from './processes.ts';

// A signal to the owner's session must not end this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

let owner: ProcessIdentity | undefined;
const recordFiles = new Set<string>();
for await (const line of createInterface({ input: process.stdin })) {
  if (owner) {
    recordFiles.add(line);
    continue;
  }
  const value: unknown = JSON.parse(line);
  if (!isIdentity(value)) process.exit(2);
  owner = value;
}
if (owner) {
  const of = owner;
  await Promise.all([...recordFiles].map((file) => reapOrphan(file, { owner: of })));
}
