/**
 * Whether a browser's origin may send data: any may unless the project names its `app_urls`. What
 * sends no origin is no browser.
 */
export function isAllowedOrigin(origin: string | undefined, appUrls: readonly string[]): boolean {
  if (origin === undefined || appUrls.length === 0) return true;
  return appUrls.some((url) => URL.parse(url)?.origin === origin);
}
