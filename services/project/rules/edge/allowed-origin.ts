/** The first label of an origin's host, if more labels follow. */
const firstLabel = /^(https?:\/\/)[a-z0-9_-]+(?=\.)/;

/**
 * Whether a browser's origin may send data. All origins may, unless the project has `app_urls`. A
 * URL whose host begins with `*.` allows the hosts directly below that domain. A request without an
 * origin does not come from a browser, and is allowed.
 */
export function isAllowedOrigin(origin: string | undefined, appUrls: readonly string[]): boolean {
  if (origin === undefined || appUrls.length === 0) return true;
  const anySibling = origin.replace(firstLabel, '$1*');
  return appUrls.some((url) => {
    const allowed = URL.parse(url)?.origin;
    return allowed === origin || allowed === anySibling;
  });
}

/**
 * Whether an `app_url` can match an origin: it is a URL that browsers can open, and `*` appears at
 * most as the first label of its host, followed by a domain of two labels or more.
 */
export function isPossibleAppUrl(url: string): boolean {
  const host = URL.parse(url)?.hostname;
  if (host === undefined) return false;
  return !host.includes('*') || /^\*(\.[^.*]+){2,}$/.test(host);
}
