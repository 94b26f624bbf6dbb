import { test } from 'node:test'
import { rehearse, type TroubleKind } from './rehearsal.js'
import { scenarios } from './scenarios.js'

// In the middle of what is no write means before it.
const deaths: readonly TroubleKind[] = [
  { kind: 'dies', moment: 'half' },
  { kind: 'dies', moment: 'after' },
]

for (const scenario of scenarios) {
  test(`a death before, in and after each call of ${scenario.name}`, async t => {
    const blocking = await rehearse(scenario, deaths, {})
    const pooled = await rehearse(scenario, deaths.slice(1), { durable: true })
    t.diagnostic(`${blocking + pooled} deaths`)
  })
}
