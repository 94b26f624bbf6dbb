/** The rows of `--scope commands`: a program for each line of stdin, two at a time. */
import { spawnSync } from 'node:child_process'
import type { Contender, Row } from '../row.js'

const pipe = (name: string, tool: string, share = 1): Contender => ({
  name,
  program: 'commands/pipe.js',
  settings: { tool },
  share,
})

const hasParallel = spawnSync('parallel', ['--version'], { encoding: 'utf8' }).stdout?.startsWith('GNU parallel')

export const COMMAND_ROWS: readonly Row[] = [
  {
    scope: 'commands',
    title: 'echo for each line of stdin, two at a time, with the start of the tool',
    n: 10_000,
    files: true,
    contenders: [
      pipe('ptq run -j2', 'ptq run -j2'),
      pipe('xargs -P2 -n1', 'xargs -P2 -n1'),
      ...(hasParallel ? [pipe('parallel -j2', 'parallel -j2', 0.1)] : []),
    ],
    targets: [
      { kind: 'times', rival: 'xargs -P2 -n1', atLeast: 0.8 },
      { kind: 'times', rival: 'parallel -j2', atLeast: 2 },
    ],
  },
]
