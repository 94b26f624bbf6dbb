// The code of `ptq run` in this process, compared with the output of GNU parallel for the same command lines.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { parseArgs } from 'node:util'
import { linesOf } from '#ptq/cli/lines.js'
import { splitArguments } from '#ptq/cli/raw-arguments.js'
import { CommandMaker } from '#ptq/commands/command-maker.js'
import { parseHalt } from '#ptq/commands/halt.js'
import { inputValues, splitSources } from '#ptq/commands/inputs.js'
import { JobLog } from '#ptq/commands/job-log.js'
import { runHere } from '#ptq/commands/run-here.js'
import { SlotValues } from '#ptq/commands/slot-values.js'
import {
  expectedOutcomes,
  type ParallelCase,
  parallelCases,
  parallelFiles,
  type Recorded,
  recordedOutcomes,
  sortedLines,
  withoutTimes,
} from './parallel-cases.js'

const withValue = new Set(['-j', '--colsep', '--joblog', '--retries', '--halt', '--timeout-sec'])

async function outcome(each: ParallelCase, folder: string): Promise<Recorded> {
  const { own, rest } = splitArguments(['run', ...each.args], option => withValue.has(option))
  const { values } = parseArgs({
    args: own.slice(1).map(arg => (arg === '--timeout' ? '--timeout-sec' : arg)),
    options: {
      parallel: { type: 'string', short: 'j', default: '2' },
      'keep-order': { type: 'boolean', short: 'k', default: false },
      null: { type: 'boolean', short: '0', default: false },
      colsep: { type: 'string' },
      tag: { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      joblog: { type: 'string' },
      retries: { type: 'string', default: '1' },
      halt: { type: 'string', default: 'never' },
      'timeout-sec': { type: 'string' },
    },
  })
  const { command, sources } = splitSources(rest)
  const maker = new CommandMaker(command, each.shell === true)
  const inputs = inputValues(sources, {
    valuesIn: name =>
      linesOf(
        Readable.from([Buffer.from(name === '-' ? (each.stdin ?? '') : (parallelFiles[name] ?? ''))]),
        name,
        undefined,
        {
          raw: true,
          nul: values.null,
        },
      ),
    columnSeparator: values.colsep === undefined ? undefined : new RegExp(values.colsep, 'u'),
  })
  const chunks: Buffer[] = []
  if (values['dry-run']) {
    let stdout = ''
    let sequence = 0
    for await (const value of inputs) stdout += `${maker.line({ values: value, sequence: ++sequence, slot: 1 })}\n`
    return { stdout, failed: false }
  }
  const joblog = values.joblog === undefined ? undefined : join(folder, values.joblog)
  const jobLog = joblog === undefined ? undefined : new JobLog(joblog)
  const target = (kept: Buffer[] | undefined) => ({
    write: (chunk: Buffer) => {
      kept?.push(chunk)
      return true
    },
    drained: async () => undefined,
  })
  const { failed } = await runHere(maker, inputs, {
    parallel: Number(values.parallel),
    timeoutSeconds: values['timeout-sec'] === undefined ? undefined : Number(values['timeout-sec']),
    attempts: Number(values.retries),
    halt: parseHalt(values.halt),
    keepOrder: values['keep-order'],
    lineBuffer: false,
    maxOutputBytes: 1e9,
    tag: values.tag,
    slots: new SlotValues(new Map(), 1),
    jobLog,
    resume: undefined,
    signal: new AbortController().signal,
    targets: { stdout: target(chunks), stderr: target(undefined) },
    onFailed: () => undefined,
    onDone: () => undefined,
  })
  jobLog?.close()
  const stdout = Buffer.concat(chunks).toString()
  return {
    stdout: each.sorted ? sortedLines(stdout) : stdout,
    ...(each.joblog && joblog !== undefined && { joblog: withoutTimes(readFileSync(joblog, 'utf8')) }),
    // The command line decides if a success that ends the run makes it succeed.
    failed: failed > 0 && !values.halt.includes('success'),
  }
}

test('ptq run prints what GNU parallel prints for the same command lines', async () => {
  const recorded = recordedOutcomes()
  assert.deepEqual(
    Object.keys(recorded),
    parallelCases.map(({ name }) => name),
  )
  const ours: Record<string, Recorded> = {}
  const before = process.cwd()
  for (const each of parallelCases) {
    const folder = mkdtempSync(join(tmpdir(), 'ptq-parallel-'))
    for (const [name, text] of Object.entries(parallelFiles)) writeFileSync(join(folder, name), text)
    process.chdir(folder)
    try {
      ours[each.name] = await outcome(each, folder)
    } finally {
      process.chdir(before)
      rmSync(folder, { recursive: true })
    }
  }
  assert.deepEqual(ours, expectedOutcomes(recorded))
})
