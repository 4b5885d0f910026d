import { adviceFor } from './advice.ts';
import { CallFailure, Failure } from './failure.ts';

// Commands of one organization. Values in capitals and options in the advice are part of the
// command.
const ofOneOrganization =
  /\bsilo (?:members (?:list|invites?|withdraw|update|remove)|plan (?:show|change|billing-details))(?: (?:[A-Z]+|--\S+(?: [a-z]+)?)(?![\w]))*/g;

/**
 * Runs an action in the organization that `--org` names; the advice of a failure then names it,
 * too.
 */
export async function forOrg<Result>(
  org: string | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw org === undefined ? error : advisingIn(org, error);
  }
}

function advisingIn(org: string, error: unknown): unknown {
  if (error instanceof CallFailure) {
    const advice = error.next ?? (error.refusal && adviceFor(error.refusal));
    return advice === undefined ? error : error.advising(withOrg(advice, org));
  }
  if (!(error instanceof Failure) || error.next === undefined) return error;
  return new Failure(error.exit, error.message, withOrg(error.next, org));
}

function withOrg(advice: string, org: string): string {
  return advice.replace(ofOneOrganization, (found) =>
    found.includes('--org') ? found : `${found} --org ${shellWord(org)}`,
  );
}

/** Quotes a text as one word of a shell. */
function shellWord(text: string): string {
  return /^[\w./@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
