const typePattern = /^internal\.silo\.([a-z]+)\.([a-z_]+)\.v1$/;

/** `ce-type`, such as `internal.silo.project.moved.v1`. */
export function eventType(service: string, event: string): string {
  return `internal.silo.${service}.${event}.v1`;
}

/** The parts of a `ce-type`; undefined for another form, such as a later version. */
export function parseEventType(type: string): { service: string; event: string } | undefined {
  const [, service, event] = typePattern.exec(type) ?? [];
  return service === undefined || event === undefined ? undefined : { service, event };
}
