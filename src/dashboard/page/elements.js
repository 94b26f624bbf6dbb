// @ts-check
/** Makes and changes elements. Text is always set as text, never as HTML. */

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Record<string, string | number | boolean | undefined | ((event: any) => void)>} Attributes
 */

/**
 * Makes an element; an attribute that is a function is a listener: `onclick`.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {Child[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name.slice(2), value)
    else if (value === true) made.setAttribute(name, '')
    else if (value !== undefined && value !== false) made.setAttribute(name, String(value))
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false)
      made.append(child instanceof Node ? child : String(child))
  }
  return made
}

/**
 * Text of unknown origin: apart from what stands around it, whatever its direction of writing.
 *
 * @param {string} text
 * @param {string} [className]
 */
export function foreign(text, className) {
  return element('bdi', { class: className }, text)
}

/**
 * Sets a text, if it changed: a selection in it stays.
 *
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

/**
 * Makes the children of `parent` those of `items`, in their order. An element stays as long as its item's key does, with
 * focus, selection and what is opened in it.
 *
 * @template Item
 * @template {Element & { update?: (item: Item) => void }} Row
 * @param {Element} parent
 * @param {readonly Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => Row} make
 */
export function keyed(parent, items, keyOf, make) {
  /** @type {Map<string | null, Row>} */
  const known = new Map()
  for (const child of /** @type {Iterable<Row>} */ (/** @type {unknown} */ (parent.children))) {
    known.set(child.getAttribute('data-key'), child)
  }
  let place = parent.firstElementChild
  for (const item of items) {
    const key = keyOf(item)
    let row = known.get(key)
    if (row === undefined) {
      row = make(item)
      row.setAttribute('data-key', key)
    }
    known.delete(key)
    row.update?.(item)
    if (row === place) place = row.nextElementSibling
    else parent.insertBefore(row, place)
  }
  for (const row of known.values()) row.remove()
}

/**
 * Asks for confirmation.
 *
 * @param {{ title: string, text: string, confirm: string, typed?: string }} question `typed`: what has to be typed first
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, confirm, typed }) {
  const button = element('button', { value: 'confirm', class: 'danger', disabled: typed !== undefined }, confirm)
  const input = element('input', {
    autocomplete: 'off',
    spellcheck: 'false',
    oninput: () => {
      button.disabled = input.value !== typed
    },
  })
  const dialog = element(
    'dialog',
    { 'aria-label': title },
    element(
      'form',
      { method: 'dialog' },
      element('h2', {}, title),
      element('p', {}, foreign(text)),
      typed !== undefined && element('label', {}, 'To confirm, type ', foreign(typed), input),
      element(
        'p',
        { class: 'buttons' },
        element('button', { value: 'cancel', formnovalidate: true }, 'Cancel'),
        button,
      ),
    ),
  )
  document.body.append(dialog)
  dialog.showModal()
  return new Promise(resolve => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'confirm')
    })
  })
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`Expected an element with the id ${id}`)
  return found
}
