import type { Cli } from './cli.ts';
import { explain } from './explain.ts';
import { CallFailure } from './failure.ts';
import type { Check } from './prompt.ts';

/** One value that an option gives, or a prompt. */
export type Field = {
  /** What the option gave. */
  given: string | undefined;
  message: string;
  /** What to do where there is no terminal. */
  instead: string;
  check: Check;
  /** What stands there to begin with. */
  initial?: string | undefined;
  /** The fields of requests that it becomes, by which a refusal names it. */
  fields: readonly string[];
};

/**
 * Prompts for what the options leave out, and sends it. What is refused is prompted for again, with
 * all answers kept, as often as the person likes.
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
