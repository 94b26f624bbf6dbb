import { test } from 'node:test'
import { type FaultKind, injectFaults } from './inject.js'
import { scenarios } from './scenarios.js'

// In the middle of what is no write means before it.
const deaths: readonly FaultKind[] = [
  { kind: 'dies', moment: 'half' },
  { kind: 'dies', moment: 'after' },
]

for (const scenario of scenarios) {
  test(`a process death before, during or after any call of ${scenario.name} loses no task`, async t => {
    const blocking = await injectFaults(scenario, deaths, {})
    const pooled = await injectFaults(scenario, deaths.slice(1), { durable: true })
    t.diagnostic(`${blocking + pooled} deaths`)
  })
}
