import { Outcome, type Unpropagated } from '@silo/mongo/mutation.ts';
import type { Call } from '../call.ts';

/** The response type of a handler, even if the handler returns the outcome of a mutation. */
type ResponseOf<Answer> = Answer extends Outcome<infer Response> ? Unpropagated<Response> : Answer;

/** A handler bound to its dependencies, as by `mount`, that returns only the response. */
export function bind<Request, Answer, Dependencies>(
  handler: (request: Request, call: Call, dependencies: Dependencies) => Promise<Answer>,
  dependencies: Dependencies,
): (request: Request, call: Call) => Promise<ResponseOf<Answer>> {
  return async (request, call) => {
    const answer = await handler(request, call, dependencies);
    return (answer instanceof Outcome ? answer.response : answer) as ResponseOf<Answer>;
  };
}
