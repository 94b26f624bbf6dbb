/** Command lines that GNU parallel and `ptq run` both take, and what GNU parallel 20221122 printed for them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ParallelCase {
  readonly name: string
  readonly args: readonly string[]
  readonly stdin?: string
  /** GNU parallel always has a shell read the command; `ptq run` only with `--shell`. */
  readonly shell?: true
  /** The order in which tasks end is chance. */
  readonly sorted?: true
  /** The job log is compared too, without its times. */
  readonly joblog?: true
  /** The different output of `ptq run`: the differences are named in docs/commands.md. */
  readonly ours?: Partial<Recorded>
}

export interface Recorded {
  readonly stdout: string
  readonly joblog?: string
  /** GNU parallel's exit code is the number of failed commands; `ptq run`'s is 1 for any. */
  readonly failed: boolean
}

export const parallelCases: readonly ParallelCase[] = [
  { name: 'no replacement string: added at the end', args: ['-k', 'echo', ':::', 'a', 'b'] },
  { name: 'spaces in a value', args: ['-k', 'echo', '{}', ':::', 'a  b', ' c '] },
  { name: 'quotes in a value', args: ['-k', 'echo', '{}', ':::', `it's`, '"q"', '`x`', '$HOME', '\\n', '!'] },
  {
    name: 'a line feed in a value',
    args: ['-k', 'printf', '[%s]', '{}', ':::', 'a\nb', '\n'],
    ours: { stdout: '[a\nb][\n]' },
  },
  { name: 'an empty value', args: ['-k', 'printf', '[%s]', '{}', ':::', '', 'a'] },
  { name: 'no value', args: ['-k', 'echo', ':::'] },
  { name: 'a value that looks like an option', args: ['-k', 'printf', '[%s]', '{}', ':::', '-k', '--tag', '--'] },
  { name: 'a value with a replacement string', args: ['-k', 'echo', '{}', ':::', '{}', '{.}', '{#}'] },
  { name: 'UTF-8', args: ['-k', 'echo', '{}', ':::', 'é', '日本', '🙂'] },
  {
    name: '{.} {/} {//} {/.}',
    args: ['-k', 'echo', '{.}', '{/}', '{//}', '{/.}', ':::', 'a/b.c.d', '/x', 'y.z', '.hid', 'a.b/c', 'e/f/'],
  },
  { name: '{} twice', args: ['-k', 'echo', '{}-{}', ':::', 'a', 'b'] },
  { name: '{#}', args: ['-k', 'echo', '{#}', '{}', ':::', 'a', 'b', 'c'] },
  { name: '{#} alone adds no {}', args: ['-k', 'echo', '{#}', ':::', 'a', 'b'] },
  { name: '{%} with one slot', args: ['-k', '-j1', 'echo', '{%}', '{}', ':::', 'a', 'b'] },
  { name: 'two sources: all combinations', args: ['-k', 'echo', ':::', 'a', 'b', ':::', '1', '2', '3'] },
  { name: 'three sources', args: ['-k', 'echo', '{3}{2}{1}', ':::', 'a', 'b', ':::', '1', '2', ':::', 'x', 'y'] },
  {
    name: '{1} {2.} {2/} {2//} {2/.}',
    args: ['-k', 'echo', '{1}', '{2.}', '{2/}', '{2//}', '{2/.}', ':::', 'a', ':::', 'd/e.f'],
  },
  { name: 'a position that no source has', args: ['-k', 'echo', '{3}x{1}', ':::', 'a'] },
  { name: 'one of two sources used', args: ['-k', 'echo', '{1}', ':::', 'a', 'b', ':::', '1', '2'] },
  { name: ':::+ in step', args: ['-k', 'echo', ':::', 'a', 'b', ':::+', '1', '2'] },
  { name: ':::+ with fewer values', args: ['-k', 'echo', ':::', 'a', 'b', 'c', ':::+', '1', '2'] },
  { name: ':::+ with more values', args: ['-k', 'echo', ':::', 'a', 'b', ':::+', '1', '2', '3'] },
  { name: ':::+ beside a source', args: ['-k', 'echo', ':::', 'x', 'y', ':::', 'a', 'b', ':::+', '1', '2'] },
  { name: ':::: files', args: ['-k', 'echo', '::::', 'list', 'other'] },
  { name: '::: and ::::', args: ['-k', 'echo', ':::', 'a', 'b', '::::', 'list'] },
  { name: ':::: - is stdin', args: ['-k', 'echo', '::::', '-', ':::', 'x'], stdin: '1\n2\n' },
  { name: 'stdin', args: ['-k', 'echo', '{}'], stdin: 'a\nb c\n' },
  { name: 'stdin without a last line feed', args: ['-k', 'echo', '{}'], stdin: 'a\nb' },
  { name: 'stdin with empty lines', args: ['-k', 'echo', '[{}]'], stdin: 'a\n\n\nb\n' },
  { name: 'stdin with carriage returns', args: ['-k', 'printf', '[%s]', '{}'], stdin: 'a\r\nb\r\n' },
  { name: 'empty stdin', args: ['-k', 'echo', '[{}]'], stdin: '' },
  { name: '-0', args: ['-k', '-0', 'echo', '[{}]'], stdin: 'a\nb\0c\0' },
  { name: '--colsep', args: ['-k', '--colsep', ',', 'echo', '{2}-{1}'], stdin: 'a,b\nc,d,e\nf\n' },
  {
    name: '--colsep, a regular expression',
    args: ['-k', '--colsep', '[ \t]+', 'echo', '{}', '{2}'],
    stdin: 'a  b\tc\n',
  },
  { name: '--colsep and :::', args: ['-k', '--colsep', '-', 'echo', '{1}{2}', ':::', 'a-b', 'c-d'] },
  { name: 'no command: values are commands', args: ['-k', ':::', 'echo a  b', 'echo "c  d"; echo e'] },
  { name: 'no command: lines of stdin are commands', args: ['-k'], stdin: 'echo a | tr a b\nprintf "%s\\n" "x y"\n' },
  { name: 'shell: quoted values', args: ['-k', 'echo {} | tr a-z A-Z'], stdin: `it's $HOME "a  b"\n`, shell: true },
  {
    name: 'shell: output to files named after inputs',
    args: ['-k', 'echo {} > {.}.out; cat {.}.out', ':::', 'a.x', 'b.y'],
    shell: true,
  },
  { name: '--tag', args: ['-k', '--tag', 'echo', 'x', '{}', ':::', '1', '2'] },
  {
    name: '--tag with several lines, the last without an end',
    args: ['-k', '--tag', 'printf "a\\nb"; : {}', ':::', '1', '2'],
    shell: true,
  },
  { name: '--tag with two sources', args: ['-k', '--tag', 'echo', ':::', 'a', ':::', 'b'] },
  { name: 'outputs in one piece', args: ['-j4', 'echo {}; echo {}', ':::', '1', '2', '3'], shell: true, sorted: true },
  { name: 'keep order: a slow first one', args: ['-k', '-j2', 'sleep 0.{}; echo {}', ':::', '3', '1'], shell: true },
  {
    name: '--dry-run',
    args: ['-k', '--dry-run', 'echo', '{}', '{/.}', ':::', 'a b', `c'd`, '', 'e/f.g', 'x,y=z', 'a-b_c+d'],
  },
  { name: '--dry-run, shell', args: ['-k', '--dry-run', 'cat {} > {.}.out', ':::', 'a b.c'], shell: true },
  { name: 'exit codes', args: ['-k', 'exit {}', ':::', '0', '1', '7'], shell: true },
  {
    name: '--joblog',
    args: ['-j1', '--joblog', 'jobs', 'echo {}; exit {}', ':::', '0', '3'],
    shell: true,
    joblog: true,
  },
  {
    name: '--joblog: a signal',
    args: ['-j1', '--joblog', 'jobs', 'kill -9 $$; : {}', ':::', 'a'],
    shell: true,
    joblog: true,
  },
  { name: '--joblog: quoted values', args: ['-j1', '--joblog', 'jobs', 'echo', ':::', 'a b', `c'd`], joblog: true },
  {
    name: '--retries prints the last attempt',
    args: ['-k', '--retries', '2', 'echo {} >> tries; cat tries; exit 1', ':::', 'a'],
    shell: true,
  },
  {
    name: '--halt now,fail=1',
    args: ['-j1', '--halt', 'now,fail=1', 'echo {}; exit {}', ':::', '0', '1', '0'],
    shell: true,
  },
  {
    name: '--halt soon,fail=2',
    args: ['-j1', '--halt', 'soon,fail=2', 'echo {}; exit {}', ':::', '1', '0', '2', '3'],
    shell: true,
  },
  {
    name: '--halt now,success=1',
    args: ['-j1', '--halt', 'now,success=1', 'echo {}; exit {}', ':::', '1', '0', '1'],
    shell: true,
  },
  {
    name: '--halt now,done=2',
    args: ['-j1', '--halt', 'now,done=2', 'echo', ':::', '1', '0', '1'],
    ours: { failed: false },
  },
  { name: '--timeout', args: ['-j1', '--joblog', 'jobs', '--timeout', '1', 'sleep', ':::', '60'], joblog: true },
]

/** Files that the command lines name. */
export const parallelFiles: Readonly<Record<string, string>> = { list: '1\n2\n', other: 'x y\n' }

/** The outcomes of GNU parallel, by name. Recorded again by `PTQ_RECORD=1 node build/test/run.js gnu-parallel.soak`. */
export const recordedPath = join(import.meta.dirname, '../../../test/fixtures/gnu-parallel.json')

export function recordedOutcomes(): Readonly<Record<string, Recorded>> {
  return JSON.parse(readFileSync(recordedPath, 'utf8'))
}

/** A job log without what changes from run to run. */
export function withoutTimes(joblog: string): string {
  return joblog.replace(/^(\d+\t:)\t[^\t]*\t[^\t]*/gm, '$1\t-\t-')
}

/** Lines in the order of the alphabet. */
export function sortedLines(text: string): string {
  return text.split('\n').sort().join('\n')
}

/** The expected output of `ptq run`, by name. */
export function expectedOutcomes(recorded: Readonly<Record<string, Recorded>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(parallelCases.map(({ name, ours }) => [name, { ...recorded[name], ...ours }]))
}
