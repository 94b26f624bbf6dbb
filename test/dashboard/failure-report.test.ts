import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FailureReports } from '#ptq/dashboard/failure-report.js'
import type { Sampler } from '#ptq/dashboard/sampler.js'

test('a report whose reading began before a change is not shown after it', async () => {
  let endReading: () => void = () => undefined
  const reading = new Promise<void>(resolve => {
    endReading = resolve
  })
  let readings = 0
  const queue = {
    async *failures() {
      const id = String(++readings)
      if (readings === 1) await reading
      yield { id, failures: [{ reason: `reading ${id}` }] }
    },
  }
  const reports = new FailureReports({ queue, place: undefined } as unknown as Sampler)
  const before = reports.read()
  reports.invalidate()
  const after = reports.read()
  endReading()
  assert.equal((await before).groups[0]?.reason, 'reading 1')
  assert.equal((await after).groups[0]?.reason, 'reading 2')
  assert.equal((await reports.read()).groups[0]?.reason, 'reading 2')
  assert.equal(readings, 2)
})
