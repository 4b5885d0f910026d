/**
 * Returns the form in which e-mails are compared: e-mails that differ only in case are the same.
 */
export function comparable(email: string): string {
  return email.toLowerCase();
}
