// Tasks that throw what has no text, or a bad name.
import { queueable } from 'ptq'

const kinds = {
  toString: () => Object.assign(new Error('named badly'), { name: 'toString' }),
  proto: () => Object.assign(new Error('named badly'), { name: '__proto__' }),
  parsed: () => JSON.parse('{"toString":"x"}'),
  bare: () => Object.create(null),
  revoked: () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
} satisfies Record<string, () => unknown>

export const thrownKinds = Object.keys(kinds) as (keyof typeof kinds)[]

export const throwOfKind = queueable(function throwOfKind(kind: keyof typeof kinds) {
  throw kinds[kind]()
})
