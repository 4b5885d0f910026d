/** Captures the lines that @bomb.sh/tab prints, because it does not return them. */
export function linesOf(print: () => void): string[] {
  const lines: string[] = [];
  const { log } = console;
  console.log = (line: string) => lines.push(line);
  try {
    print();
  } finally {
    console.log = log;
  }
  return lines;
}
