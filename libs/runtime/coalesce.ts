/**
 * Runs one at a time: whoever asks while a run is under way shares the next one, which begins after
 * they asked, with all who came in between. `run` gets what they asked for, in order; its failure is
 * everybody's.
 */
export function coalesce<Asked, Answer>(
  run: (asked: readonly Asked[]) => Promise<Answer>,
): (asked: Asked) => Promise<Answer> {
  let running: Promise<unknown> | undefined;
  let next: { asked: Asked[]; answer: Promise<Answer> } | undefined;

  const begin = (asked: readonly Asked[]): Promise<Answer> => {
    const answer = run(asked);
    const ended = answer
      .catch(() => {})
      .then(() => {
        if (running === ended) running = undefined;
      });
    running = ended;
    return answer;
  };

  const queue = (after: Promise<unknown>) => {
    const asked: Asked[] = [];
    const answer = after.then(() => {
      next = undefined;
      return begin(asked);
    });
    return { asked, answer };
  };

  return (asked) => {
    if (next === undefined) {
      if (running === undefined) return begin([asked]);
      next = queue(running);
    }
    next.asked.push(asked);
    return next.answer;
  };
}
