/** Replacement strings of GNU parallel: `{}`, `{.}`, `{/}`, `{//}`, `{/.}`, `{#}`, `{%}`, and `{1}`, `{2/.}`, … */
import { posix } from 'node:path'
import { quoted } from './shell-quote.js'

/** The values that one task gets. */
export interface TaskValues {
  /** One value of each input source; with `--colsep` one a column. */
  readonly values: readonly string[]
  /** The number of the task, from 1. */
  readonly sequence: number
  /** The number of its slot, from 1: no other running task has the same. */
  readonly slot: number
}

type Part = string | ((task: TaskValues) => readonly string[])

const pattern = /\{(?:([#%])|(\d*)(\.|\/\/|\/\.|\/)?)\}/g

const forms: Readonly<Record<string, (value: string) => string>> = {
  '': value => value,
  '.': withoutExtension,
  '/': baseName,
  '//': value => posix.dirname(value),
  '/.': value => withoutExtension(baseName(value)),
}

function withoutExtension(path: string): string {
  return path.replace(/\.[^/.]*$/, '')
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** A command with replacement strings. Parsed once, filled in for each task. */
export class CommandTemplate {
  readonly #words: readonly (readonly Part[])[]
  /** True where the command differs from slot to slot, so that it is known only when it starts. */
  readonly usesSlot: boolean

  /** @param words if no word has a replacement string, ` {}` is added at the end, as in GNU parallel */
  constructor(words: readonly string[]) {
    const parsed = words.map(parse)
    this.#words = parsed.some(parts => parts.some(part => typeof part !== 'string')) ? parsed : [...parsed, parse('{}')]
    this.usesSlot = words.some(word => word.includes('{%}'))
  }

  /** The first word, if it has no replacement string. */
  get program(): string | undefined {
    const [first = ''] = this.#words[0] ?? []
    return this.#words[0]?.length === 1 && typeof first === 'string' ? first : undefined
  }

  /** The command of a task, one entry per argument. A word `{}` alone becomes one argument for each value. */
  argv(task: TaskValues): string[] {
    return this.#words.flatMap(([first, ...rest]) => {
      if (first === undefined) return ['']
      if (rest.length === 0 && typeof first !== 'string') return first(task)
      return [[first, ...rest].map(part => (typeof part === 'string' ? part : part(task).join(' '))).join('')]
    })
  }

  /** The command line of a task for a shell: the words unchanged, the values quoted. */
  shellLine(task: TaskValues): string {
    return this.#words
      .map(parts => parts.map(part => (typeof part === 'string' ? part : part(task).map(quoted).join(' '))).join(''))
      .join(' ')
  }
}

function parse(word: string): readonly Part[] {
  const parts: Part[] = []
  let end = 0
  for (const match of word.matchAll(pattern)) {
    const [text, special, position, form = ''] = match
    if (match.index > end) parts.push(word.slice(end, match.index))
    end = match.index + text.length
    parts.push(replacement(special, position ?? '', forms[form] ?? (value => value)))
  }
  if (end < word.length) parts.push(word.slice(end))
  return parts
}

function replacement(special: string | undefined, position: string, form: (value: string) => string): Part {
  if (special === '#') return ({ sequence }) => [String(sequence)]
  if (special === '%') return ({ slot }) => [String(slot)]
  if (position === '') return ({ values }) => values.map(form)
  const index = Number(position) - 1
  return ({ values }) => values.slice(index, index + 1).map(form)
}
