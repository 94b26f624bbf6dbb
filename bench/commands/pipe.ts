// A pipe of a shell that starts echo for each of n lines. Start-up is part of it, as it is part of using such a tool.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { runCase, textOf } from '../case.js'
import { countMany } from '../counter.js'

const bin = join(import.meta.dirname, '../../../dist/src/cli/bin.cjs')

await runCase(
  parameters => {
    const tool = textOf(parameters, 'tool').replace(/^ptq/, `'${process.execPath}' '${bin}'`)
    // One path for all of them: /usr/bin is the same as /bin on Linux, and not on macOS.
    const program = existsSync('/bin/echo') ? '/bin/echo' : '/usr/bin/echo'
    return {
      run(n) {
        // `times` prints what the shell used, and then what its children used.
        const { stdout, stderr, status } = spawnSync('/bin/sh', ['-c', `seq ${n} | ${tool} ${program} && times >&2`], {
          cwd: parameters.dir,
          encoding: 'utf8',
          maxBuffer: 2 ** 28,
        })
        if (status !== 0) throw new Error(`Expected ${tool} to end with exit code 0, got ${status}: ${stderr}`)
        countMany(stdout.split('\n').length - 1)
        return { cpuSeconds: secondsOf(stderr) }
      },
    }
  },
  { warmUp: 20 },
)

/** The user and system time of children in the last line of `times`, e.g. `0m1.25s 0m0.50s`. */
function secondsOf(times: string): number {
  const last = times.trimEnd().split('\n').at(-1) ?? ''
  return [...last.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds),
    0,
  )
}
