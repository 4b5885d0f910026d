/** The first label of an origin's host, which has others behind it. */
const firstLabel = /^(https?:\/\/)[a-z0-9_-]+(?=\.)/;

/**
 * Whether a browser's origin may send data: any may unless the project names its `app_urls`. A URL
 * whose host begins with `*.` allows the hosts directly below that domain. What sends no origin is no
 * browser.
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
 * Whether an `app_url` allows any origin: browsers can open it, and `*` is at most the first label of its
 * host, with a domain of two labels or more behind it.
 */
export function isPossibleAppUrl(url: string): boolean {
  const host = URL.parse(url)?.hostname;
  if (host === undefined) return false;
  return !host.includes('*') || /^\*(\.[^.*]+){2,}$/.test(host);
}
