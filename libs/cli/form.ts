import type { Cli } from './cli.ts';
import { explain } from './explain.ts';
import { CallFailure } from './failure.ts';
import type { Check } from './prompt.ts';

/** One value of a form: an option gives it, or a prompt reads it. */
export type Field = {
  /** The value of the option. */
  given: string | undefined;
  message: string;
  /** What to do if there is no terminal. */
  instead: string;
  check: Check;
  /** The text that the prompt begins with. */
  initial?: string | undefined;
  /** Paths of the request fields that hold this value; a refusal names one of them. */
  fields: readonly string[];
};

/**
 * Prompts for the values that the options leave out, and sends them. A refused value is prompted
 * for again, with all other answers kept, until it is accepted or the user stops.
 */
export async function fillIn<Name extends string, Answer>(
  cli: Cli,
  form: Record<Name, Field>,
  send: (values: Record<Name, string>) => Promise<Answer>,
): Promise<Answer> {
  const names = Object.keys(form) as Name[];
  const values: Partial<Record<Name, string>> = {};
  let wanted = names;
  for (;;) {
    for (const name of wanted) values[name] = await promptFor(cli, form[name], values[name]);
    try {
      return await send(values as Record<Name, string>);
    } catch (error) {
      wanted = names.filter(
        (name) => form[name].given === undefined && isRefused(form[name], error),
      );
      if (wanted.length === 0) throw error;
      cli.note(...explain(error, { profile: cli.globals().profile }).blocks);
    }
  }
}

async function promptFor(cli: Cli, field: Field, before: string | undefined): Promise<string> {
  const { given, message, instead, check, initial } = field;
  if (given !== undefined) return given;
  return await cli.prompt.text(message, instead, { check, initial: before ?? initial });
}

/** Whether a refusal is about this field. */
function isRefused({ fields }: Field, error: unknown): boolean {
  if (!(error instanceof CallFailure) || error.refusal === undefined) return false;
  const { reasonName, details } = error.refusal;
  const named = details.badRequest?.map(({ field }) => field) ?? [];
  if (reasonName === 'EMAIL_TAKEN') named.push('email');
  return fields.some((field) => named.includes(field));
}
