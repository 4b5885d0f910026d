import { PostHog } from 'posthog-node';
import { claim } from '../claim.ts';
import type { Cast, Stage } from '../stage.ts';

const [site, app] = ['www.example.com', 'app.example.com'];
const pages = [
  { event: 'page viewed', $host: site },
  { event: 'page viewed', $host: app },
  { event: 'project created', $host: app },
];

/** A site and an app send events to one project with an SDK; `$host` distinguishes them. */
export async function captureEvents(stage: Stage, { ada }: Cast): Promise<void> {
  const { narrator, edge } = stage;
  const { id: projectId, token } = ada.defaultProject;
  narrator.chapter('Events from an SDK');

  await narrator.step('Ada’s site and app send events with posthog-node', async (step) => {
    const errors: unknown[] = [];
    const sdk = new PostHog(token, { host: edge });
    sdk.on('error', (error: unknown) => errors.push(error));
    for (const { event, $host } of pages) {
      sdk.capture({ distinctId: 'visitor', event, properties: { $host } });
    }
    await sdk.shutdown();
    claim('what the SDK could not send', errors, []);
    step.say(`new PostHog('${token}', { host: '${edge}' })`);
    step.say(`${pages.length} events sent with the project token, which cannot read them`);
  });

  await narrator.step('She reads those of the app, by $host, with her API key', async (step) => {
    const events = await ada.api.queryEventsOfHost(projectId, app);
    const names = events.map(({ name }) => name);
    claim('the events of the app', names.toSorted(), ['page viewed', 'project created']);
    for (const { name, distinctId, timestamp } of events) {
      step.say(`${timestamp}  ${distinctId}  ${name}`);
    }
  });
}
