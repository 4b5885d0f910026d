/** The form in which e-mails are compared: two that differ only in case are one. */
export function comparable(email: string): string {
  return email.toLowerCase();
}
