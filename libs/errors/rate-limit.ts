/** Whose limit may be reached, by its name in the metadata, in words. */
export const rateLimits = {
  address: 'calls from your address without a live key',
  sign_ups: 'sign-ups from your address',
  account: 'calls of your account',
  organization: 'calls about the organization',
  memory: 'memory for calls that are not admitted yet',
  reflection: 'reflection streams at once',
};

export type RateLimit = keyof typeof rateLimits;
