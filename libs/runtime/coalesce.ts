/**
 * Runs one at a time. A request that arrives during a run shares the next run with all other
 * requests that arrive in between. `run` gets their inputs in order; if it fails, all of them fail.
 */
export function coalesce<Input, Output>(
  run: (inputs: readonly Input[]) => Promise<Output>,
): (input: Input) => Promise<Output> {
  let running: Promise<unknown> | undefined;
  let next: { inputs: Input[]; output: Promise<Output> } | undefined;

  const begin = (inputs: readonly Input[]): Promise<Output> => {
    const output = run(inputs);
    const ended = output
      .catch(() => {})
      .then(() => {
        if (running === ended) running = undefined;
      });
    running = ended;
    return output;
  };

  const queue = (after: Promise<unknown>) => {
    const inputs: Input[] = [];
    const output = after.then(() => {
      next = undefined;
      return begin(inputs);
    });
    return { inputs, output };
  };

  return (input) => {
    if (next === undefined) {
      if (running === undefined) return begin([input]);
      next = queue(running);
    }
    next.inputs.push(input);
    return next.output;
  };
}
