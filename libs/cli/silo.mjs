#!/usr/bin/env node
// The command itself is TypeScript, which Node 24 runs directly. An older Node starts the version
// that the project installs.
import { spawn } from 'node:child_process';
import nodeModule, { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const nodeMajorMin = 24;

// Turns the echo off for commands that prompt for a secret: the command takes a while to load, and
// text typed before the prompt must not be shown either. program.ts turns it on again for other
// commands.
const isSecretRead = ['login', 'accept'].some((word) => process.argv.includes(word, 2));
if (isSecretRead && process.stdin.isTTY) {
  process.stdin.setRawMode(true);
  process.stderr.write('\r\u001b[2K');
}

if (Number.parseInt(process.versions.node, 10) >= nodeMajorMin) {
  nodeModule.enableCompileCache?.();
  const { main } = await import('./main.ts').catch(explain);
  await main(process.argv.slice(2));
} else {
  handOver(ownNode());
}

function ownNode() {
  try {
    const found = createRequire(import.meta.url).resolve('node/package.json');
    return join(dirname(found), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  } catch (error) {
    return explain(error);
  }
}

function handOver(node) {
  const self = fileURLToPath(import.meta.url);
  const child = spawn(node, [self, ...process.argv.slice(2)], { stdio: 'inherit' });
  // Ctrl-C reaches the child process directly, and the child decides what to do.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('error', explain);
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

function explain(error) {
  console.error(`error: ${error.message}`);
  console.error(
    'next:  in the repository, run `npm run silo -- help` once: it installs what is missing',
  );
  process.exit(1);
}
