/** An answer but for how its change has spread, which a repeat of the request tells anew. */
export function apart<Answer>(answer: Answer): Answer & { propagation: undefined } {
  return { ...answer, propagation: undefined };
}
