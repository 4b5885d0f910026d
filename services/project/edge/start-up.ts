/**
 * The responses that SDKs fetch when they start. Silo has no flags, no recordings and no surveys.
 */
const noFlags = {
  flags: {},
  featureFlags: {},
  featureFlagPayloads: {},
  errorsWhileComputingFlags: false,
  quotaLimited: [],
};

const config = {
  supportedCompression: ['gzip', 'gzip-js'],
  analytics: { endpoint: '/e/' },
  hasFeatureFlags: false,
  autocapture_opt_out: false,
  autocaptureExceptions: false,
  captureDeadClicks: false,
  capturePerformance: false,
  elementsChainAsString: true,
  heatmaps: false,
  isAuthenticated: false,
  sessionRecording: false,
  siteApps: [],
  surveys: false,
  toolbarParams: {},
};

/** The response of `/flags` and `/decide`. */
export function flagsAnswer(requestId: string): object {
  return { ...noFlags, ...config, config: { enable_collect_everything: true }, requestId };
}

/** The response of `/array/TOKEN/config`. */
export function configAnswer(token: string): object {
  return { token, ...config };
}

/** The response of `/array/TOKEN/config.js`, for a verified token. */
export function configScript(token: string): string {
  const entry = JSON.stringify({ config: configAnswer(token), siteApps: [] });
  const all = 'window._POSTHOG_REMOTE_CONFIG';
  return `(function(){${all}=${all}||{};${all}[${JSON.stringify(token)}]=${entry};})();\n`;
}
