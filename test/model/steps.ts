/** The steps of a random sequence: what is done, by which holder, to which of its leases. */
import fc from 'fast-check'

/** Holders that have the queue open at the same time. */
export const HOLDERS = 3

/** `pick` chooses one of the leases that a holder ever had, lost and finished ones included. */
export type Step =
  | { verb: 'insert'; holder: number; count: number; delaySeconds: number }
  | { verb: 'lease'; holder: number; max: number; seconds: number }
  | { verb: 'renew'; holder: number; pick: number; seconds: number }
  | { verb: 'release'; holder: number; pick: number; delaySeconds: number }
  | { verb: 'fail'; holder: number; pick: number; delaySeconds: number }
  | { verb: 'delete'; holder: number; pick: number; tally: boolean }
  | { verb: 'quarantine'; holder: number; pick: number }
  | { verb: 'pass'; seconds: number }
  | { verb: 'crash'; holder: number }
  | { verb: 'releaseAll'; holder: number }
  | { verb: 'rezero'; holder: number }
  | { verb: 'purge'; holder: number }
  | { verb: 'look'; holder: number }

// Leases and delays end half way between the moments to which time advances: neither rounding to whole seconds nor the
// time that the test takes decides an outcome.
const lasting = fc.constantFrom(50, 150)
const delaySeconds = fc.constantFrom(0, 0, 50, 150)
const passing = fc.constantFrom(100, 200)

const holder = fc.nat(HOLDERS - 1)
const pick = fc.nat(15)

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        verb: fc.constant('insert'),
        holder,
        count: fc.integer({ min: 1, max: 4 }),
        delaySeconds,
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        verb: fc.constant('lease'),
        holder,
        max: fc.integer({ min: 1, max: 5 }),
        seconds: lasting,
      }),
    },
    { weight: 4, arbitrary: fc.record({ verb: fc.constant('renew'), holder, pick, seconds: lasting }) },
    { weight: 4, arbitrary: fc.record({ verb: fc.constant('release'), holder, pick, delaySeconds }) },
    { weight: 4, arbitrary: fc.record({ verb: fc.constant('fail'), holder, pick, delaySeconds }) },
    { weight: 5, arbitrary: fc.record({ verb: fc.constant('delete'), holder, pick, tally: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ verb: fc.constant('quarantine'), holder, pick }) },
    { weight: 5, arbitrary: fc.record({ verb: fc.constant('pass'), seconds: passing }) },
    { weight: 2, arbitrary: fc.record({ verb: fc.constant('crash'), holder }) },
    { weight: 1, arbitrary: fc.record({ verb: fc.constant('releaseAll'), holder }) },
    { weight: 1, arbitrary: fc.record({ verb: fc.constant('rezero'), holder }) },
    { weight: 1, arbitrary: fc.record({ verb: fc.constant('purge'), holder }) },
    { weight: 2, arbitrary: fc.record({ verb: fc.constant('look'), holder }) },
  ) as fc.Arbitrary<Step>,
  { maxLength: 60, size: 'max' },
)
