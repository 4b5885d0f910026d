/** What @bomb.sh/tab prints, as lines: it returns nothing. */
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
