import type { MongoClient } from 'mongodb';

/** Longer than the edge holds a request. */
const answerDefaultMs = 60_000;

/** The answer of an edge to a body, or that there was none, because the connection was lost. */
export type Posted = { status: number; retryAfter: string | undefined } | { status: 'lost' };

/** Sends one body to `/batch/`, possibly over a connection that was used before. */
export async function postBody(
  url: string,
  body: string | Uint8Array,
  answerMs = answerDefaultMs,
): Promise<Posted> {
  const signal = AbortSignal.timeout(answerMs);
  try {
    const answer = await fetch(`${url}/batch/`, { method: 'POST', body, signal });
    await answer.arrayBuffer();
    return { status: answer.status, retryAfter: answer.headers.get('retry-after') ?? undefined };
  } catch (error) {
    // An edge must answer in time or close the connection.
    if (signal.aborted) throw error;
    return { status: 'lost' };
  }
}

/** The number of stored events of a project with a name, durable at a majority. */
export async function storedNamed(
  mongo: MongoClient,
  projectId: string,
  name: string,
): Promise<number> {
  const events = mongo.db('silo_project').collection('captured_events');
  return await events.countDocuments({ '_id.project': projectId, name } as object, {
    hint: 'by_name',
    readConcern: { level: 'majority' },
  });
}
