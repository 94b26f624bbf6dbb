// What `ptq run` does with more output than is read, or than is kept: in this process.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CommandMaker } from '#ptq/commands/command-maker.js'
import type { OutputTarget } from '#ptq/commands/printer.js'
import { type RunHereOptions, runHere } from '#ptq/commands/run-here.js'
import { SlotValues } from '#ptq/commands/slot-values.js'
import { WholeLines } from '#ptq/commands/tagged-lines.js'
import { inFolder } from '../cli/run-cli.js'

async function runShell(script: string, options: Partial<RunHereOptions> & Pick<RunHereOptions, 'targets'>) {
  const reasons: string[] = []
  async function* inputs() {
    yield ['x']
  }
  const result = await runHere(new CommandMaker([`${script}; : {}`], true), inputs(), {
    parallel: 1,
    timeoutSeconds: undefined,
    attempts: 1,
    halt: undefined,
    keepOrder: false,
    lineBuffer: false,
    maxOutputBytes: 1e9,
    tag: false,
    slots: new SlotValues(new Map(), 1),
    jobLog: undefined,
    resume: undefined,
    signal: new AbortController().signal,
    onFailed: (_, reason) => reasons.push(reason),
    onDone: () => undefined,
    ...options,
  })
  return { ...result, reasons }
}

const unread: OutputTarget = { write: () => true, drained: async () => undefined }

test('with lineBuffer a command waits for a slow reader, whatever it writes', async () => {
  let bytes = 0
  let isBehind = false
  let early = 0
  const stdout: OutputTarget = {
    write: chunk => {
      if (isBehind) early++
      bytes += chunk.length
      isBehind = chunk.length > 0
      return !isBehind
    },
    drained: async () => {
      // Time for the pipe to deliver more, if it were read.
      for (let turn = 0; turn < 20; turn++) await nextTurn()
      isBehind = false
    },
  }
  const { succeeded } = await runShell('yes 0123456789 | head -c 3000001', {
    lineBuffer: true,
    targets: { stdout, stderr: unread },
  })
  assert.deepEqual([succeeded, bytes, early <= 1], [1, 3_000_001, true], `${early} writes while the reader was behind`)
})

test('a target that fails while a command waits for it ends the command', async () => {
  const stdout: OutputTarget = {
    write: () => false,
    drained: async () => {
      throw new Error('the disk is full')
    },
  }
  const { failed, reasons } = await runShell('echo begin; sleep 600', {
    lineBuffer: true,
    targets: { stdout, stderr: unread },
  })
  assert.deepEqual([failed, reasons], [1, ['the disk is full']])
})

test('a command that writes more than is kept is ended with its children, and has failed; what was kept is printed', () =>
  inFolder(async folder => {
    let bytes = 0
    const stdout: OutputTarget = {
      write: chunk => {
        bytes += chunk.length
        return true
      },
      drained: async () => undefined,
    }
    const after = join(folder, 'after')
    const { failed, reasons } = await runShell(`yes; touch ${after}`, {
      maxOutputBytes: 2_500_000,
      targets: { stdout, stderr: unread },
    })
    assert.deepEqual([failed, bytes, existsSync(after)], [1, 2_500_000, false])
    assert.match(reasons[0] ?? '', /^Expected at most 2\.5 MB of output .* --line-buffer .* --max-output-mb/)
  }))

test('a line without an end is held back up to a megabyte', () => {
  const lines = new WholeLines()
  const piece = Buffer.alloc(400_000, 'x')
  const given = [piece, piece, piece, Buffer.from('y\nz')].map(chunk => lines.add(chunk).toString())
  assert.deepEqual(
    given.map(text => text.length),
    [0, 0, 1_200_000, 2],
  )
  assert.equal(lines.end().toString(), 'z')
})
