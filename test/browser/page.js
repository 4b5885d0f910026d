// The script of the pages in test/browser: posthog-js, as a site uses it. The query configures it.
// Paths are those of the site, not of this folder.
const library = '/posthog.js';
const { default: posthog } = await import(library);

const query = new URLSearchParams(location.search);

const report = (what, text) =>
  navigator.sendBeacon('/report', JSON.stringify({ what, text: String(text) }));
addEventListener('error', ({ message }) => report('error', message));
addEventListener('unhandledrejection', ({ reason }) => report('error', reason));

posthog.init(query.get('token'), {
  api_host: query.get('host'),
  autocapture: false,
  // By default the SDK treats headless browsers as bots.
  opt_out_useragent_filter: true,
  loaded: () => report('loaded', query.get('token')),
});
posthog.register({ plan: 'free' });
for (let index = 0; index < Number(query.get('count')); index++) posthog.capture(`seen ${index}`);
// Captures one event after another, for as long as the test needs.
if (query.has('next')) {
  for (let index = 0; (await (await fetch('/next')).text()) === 'more'; index++) {
    posthog.capture(`page ${index}`);
  }
}
if (query.has('story')) {
  posthog.identify('ada', { email: 'ada@example.com' });
  posthog.alias('countess');
  posthog.group('company', 'c1', { size: 3 });
  posthog.capture('grouped');
}
// The test holds this request open until the page may leave.
if (query.has('leave')) {
  await fetch('/leave');
  location.href = '/left';
}
