/** Input sources of `ptq run`: `:::` values, `::::` files, standard input; several give all combinations. */

/** A command with its input sources, as on a command line. */
export interface CommandWords {
  /** The command, with replacement strings; empty: each value is a command line itself. */
  readonly command: readonly string[]
  readonly sources: readonly InputSource[]
}

/** One input source. */
export interface InputSource {
  readonly kind: 'values' | 'files'
  /** `:::+`: its values go in step with those of the source before it. */
  readonly linked: boolean
  /** Values, or names of files; `-` is standard input. */
  readonly words: readonly string[]
}

const separators: Readonly<Record<string, Pick<InputSource, 'kind' | 'linked'>>> = {
  ':::': { kind: 'values', linked: false },
  ':::+': { kind: 'values', linked: true },
  '::::': { kind: 'files', linked: false },
  '::::+': { kind: 'files', linked: true },
}

/** Splits the words of a command line at `:::`, `::::`, `:::+` and `::::+`. Without any, the source is standard input. */
export function splitSources(words: readonly string[]): CommandWords {
  const isSeparator = (word: string) => Object.hasOwn(separators, word)
  const first = words.findIndex(isSeparator)
  if (first < 0) return { command: words, sources: [{ kind: 'files', linked: false, words: ['-'] }] }
  const sources: (InputSource & { words: string[] })[] = []
  for (const word of words.slice(first)) {
    const separator = isSeparator(word) ? separators[word] : undefined
    const last = sources.at(-1)
    if (separator !== undefined) sources.push({ ...separator, words: [] })
    // Each file is a separate source.
    else if (last?.kind === 'files' && last.words.length > 0) sources.push({ ...last, words: [word] })
    else last?.words.push(word)
  }
  return { command: words.slice(0, first), sources }
}

/** Options of {@link inputValues}. */
export interface InputOptions {
  /** Reads the values of a file, or those of standard input for `-`. */
  readonly valuesIn: (name: string) => AsyncIterable<string>
  /** Splits each value into columns, which count as values of separate sources. */
  readonly columnSeparator: RegExp | undefined
}

/** The values of sources that go in step. */
type Group = readonly (readonly string[])[]

/**
 * Yields the values of each task. The first source is read as tasks are needed; the others are held in memory, since
 * they are gone through again for each of its values. So is the first one where another goes in step with it.
 */
export async function* inputValues(
  sources: readonly InputSource[],
  options: InputOptions,
): AsyncGenerator<readonly string[], void, undefined> {
  const [first, ...others] = sources
  if (first === undefined) return
  const isStreamed = others[0]?.linked !== true
  const groups: Group[] = []
  for (const source of isStreamed ? others : sources) {
    const values: string[] = []
    for await (const value of valuesOf(source, options)) values.push(value)
    groups.push(source.linked ? inStep(groups.pop() ?? [], values) : values.map(value => [value]))
  }
  const { columnSeparator } = options
  const columns = (values: readonly string[]) =>
    columnSeparator === undefined ? values : values.flatMap(value => value.split(columnSeparator))
  if (!isStreamed) {
    for (const values of combinations([], groups)) yield columns(values)
    return
  }
  for await (const value of valuesOf(first, options)) {
    for (const values of combinations([value], groups)) yield columns(values)
  }
}

/** Extends each entry by the next of `values`, as far as both go. */
function inStep(group: Group, values: readonly string[]): Group {
  return values.slice(0, group.length).map((value, index) => [...(group[index] ?? []), value])
}

function* combinations(
  chosen: readonly string[],
  groups: readonly Group[],
): Generator<readonly string[], void, undefined> {
  const [group, ...rest] = groups
  if (group === undefined) yield chosen
  else for (const entry of group) yield* combinations([...chosen, ...entry], rest)
}

async function* valuesOf(source: InputSource, options: InputOptions): AsyncGenerator<string, void, undefined> {
  if (source.kind === 'values') yield* source.words
  else for (const name of source.words) yield* options.valuesIn(name)
}
