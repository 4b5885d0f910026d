/** Whether a key with these scopes may do what `scope` names; `<area>:write` includes reading. */
export function holdsScope(scopes: readonly string[], scope: string): boolean {
  if (scopes.includes('*') || scopes.includes(scope)) return true;
  const [area, verb] = scope.split(':');
  return verb === 'read' && scopes.includes(`${area}:write`);
}
