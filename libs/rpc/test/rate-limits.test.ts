import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { hashOf, newApiKey } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import { untilIs } from '../../../test/harness/eventually.ts';
import { networkOf } from '../client-address.ts';
import { defaultLimits, type RateSettings } from '../limits.ts';
import { RateLimits } from '../rate-limits.ts';
import { outcomeOf } from './support.ts';

/** No window ends during a test. */
const longWindow = { ...defaultLimits.rates, windowMs: 3_600_000 };
const home = '192.0.2.1';

function limits(settings: Partial<RateSettings>): RateLimits {
  return new RateLimits({ ...longWindow, ...settings });
}

const newHash = () => hashOf(newApiKey());
const dead = () => Promise.reject(errors.tokenInvalid());

async function outcomes(calls: number, call: () => Promise<unknown>): Promise<string[]> {
  const all: string[] = [];
  for (let index = 0; index < calls; index++) all.push(await outcomeOf(call()));
  return all;
}

test('an address may call until its points are used, without effect on other addresses', async (t) => {
  const rates = limits({ addressPoints: 3 });
  const takes = await outcomes(4, () => rates.takeAddress(home, 1));
  t.deepEqual(takes, ['OK', 'OK', 'OK', 'RATE_LIMITED']);
  t.is(await outcomeOf(rates.takeAddress('192.0.2.2', 1)), 'OK');
});

test('the error names the limit and the time to wait', async (t) => {
  const rates = limits({ accountCalls: 1 });
  await rates.takeAccount('acc_1');
  const error = await t.throwsAsync(rates.takeAccount('acc_1'), { instanceOf: SiloError });
  t.deepEqual(error?.metadata, { limit: 'account' });
  const { retryDelayMs = 0 } = error?.details ?? {};
  t.true(retryDelayMs > 0 && retryDelayMs <= longWindow.windowMs, `${retryDelayMs} ms`);
});

test('the limit is reset after the window', async (t) => {
  const rates = limits({ accountCalls: 1, windowMs: 50 });
  await rates.takeAccount('acc_1');
  await untilIs('OK', () => outcomeOf(rates.takeAccount('acc_1')));
  t.pass();
});

test('a failure costs an address more than a success', async (t) => {
  const failing = limits({ addressPoints: 300 });
  const ofDead = await outcomes(20, () => failing.authenticate(home, newHash(), dead));
  t.is(ofDead.filter((outcome) => outcome === 'TOKEN_INVALID').length, 11);
  t.is(ofDead.at(-1), 'RATE_LIMITED');
  const succeeding = limits({ addressPoints: 100 });
  const live = async () => {};
  const ofLive = await outcomes(1_000, () => succeeding.authenticate(home, newHash(), live));
  t.deepEqual(new Set(ofLive), new Set(['OK']));
});

test('an accepted key is looked up even if its address has no points', async (t) => {
  const rates = limits({ addressPoints: 10 });
  const known = newHash();
  rates.accept(known);
  await outcomes(5, () => rates.authenticate(home, newHash(), dead));
  t.is(await outcomeOf(rates.authenticate(home, newHash(), async () => {})), 'RATE_LIMITED');
  t.is(await outcomeOf(rates.authenticate(home, known, async () => {})), 'OK');
  // After its revocation the key is treated like any other.
  t.is(await outcomeOf(rates.authenticate(home, known, dead)), 'TOKEN_INVALID');
  t.is(await outcomeOf(rates.authenticate(home, known, dead)), 'RATE_LIMITED');
});

test('unknown keys of one address are looked up two at a time; those of another wait for none', async (t) => {
  const rates = limits({ addressPoints: 1_000_000 });
  let running = 0;
  let runningMax = 0;
  const release = Promise.withResolvers<void>();
  const lookUp = async () => {
    running++;
    runningMax = Math.max(runningMax, running);
    await release.promise;
    running--;
  };
  const all = Array.from({ length: 1_600 }, () => rates.authenticate(home, newHash(), lookUp));
  t.is(await outcomeOf(rates.authenticate('192.0.2.2', newHash(), async () => {})), 'OK');
  release.resolve();
  await Promise.all(all);
  t.is(runningMax, 2);
});

test('an invalid key keeps its place among the look-ups of its address, so that points last for half a window', async (t) => {
  // A failure takes 30 of 300 points: ten failures, two at a time, last for half of 1,000 ms.
  const rates = limits({ addressPoints: 300, windowMs: 1_000 });
  const heldMs = 100;
  const startMs = performance.now();
  await outcomes(2, () => rates.authenticate(home, newHash(), dead));
  const another = rates.authenticate('192.0.2.2', newHash(), async () => performance.now());
  const withoutKey = outcomeOf(rates.authenticate(home, undefined, dead));
  const third = rates.authenticate(home, newHash(), async () => performance.now());
  t.is(await withoutKey, 'TOKEN_INVALID');
  // A timer of Node may fire a millisecond early.
  t.true((await third) - startMs >= heldMs - 1);
  t.true((await another) < (await third));
});

test('waiting look-ups are rejected once their address has failed too often', async (t) => {
  const rates = limits({ addressPoints: 300 });
  let lookups = 0;
  const lookUp = () => {
    lookups++;
    return dead();
  };
  const all = await Promise.all(
    Array.from({ length: 1_600 }, () => outcomeOf(rates.authenticate(home, newHash(), lookUp))),
  );
  t.true(lookups <= 11 + 2, `${lookups} lookups`);
  t.is(all.filter((outcome) => outcome === 'RATE_LIMITED').length, 1_600 - lookups);
});

test('an address that continues long after its points are used up gets no response until its window ends', async (t) => {
  const rates = limits({ addressPoints: 100 });
  const refused = await outcomes(125, () => rates.takeAddress(home, 1));
  t.is(refused.filter((outcome) => outcome === 'RATE_LIMITED').length, 25);
  t.false(rates.isFlooding(home));
  await outcomes(1, () => rates.takeAddress(home, 1));
  t.true(rates.isFlooding(home));
  t.false(rates.isFlooding('192.0.2.2'));
});

const networks: [address: string | undefined, network: string][] = [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  [undefined, 'unknown'],
];
for (const [address, network] of networks) {
  test(`the address ${address} counts as ${network}`, (t: ExecutionContext) => {
    t.is(networkOf(address), network);
  });
}
