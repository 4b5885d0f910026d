/** The rate limits, by their name in the error's metadata, with a description. */
export const rateLimits = {
  address: 'calls without a valid key from your address',
  sign_ups: 'sign-ups from your address',
  account: 'calls of your account',
  organization: 'calls for the organization',
  project: 'calls with the project’s token',
  memory: 'memory for calls that are not yet admitted',
  answers: 'memory for answers that you have not read',
  storing: 'memory for events that are being stored',
  event_deletions: 'deletions of the project’s events that are not finished',
  event_reads: 'queries and counts of events that wait for your account',
  large_reads: 'searches, previews and activity that wait for your account',
  exports: 'exports of events that are being read',
  watches: 'migrations that your account watches',
  region_streams: 'streams by which your region reads events',
  reflection: 'concurrent reflection streams',
};

export type RateLimit = keyof typeof rateLimits;
