/**
 * Input methods, which compose Chinese, Japanese, Korean and other texts from several keys. While one is composing, its
 * keys are not meant for the page: Enter chooses a word and sends nothing.
 */

const KEY_OF_INPUT_METHOD = 229; // of the UI Events specification, section 8.3.1

/** Let no key that belongs to an input method reach the handlers below `target`. The field itself gets all of them. */
export function keepKeysOfInputMethods(target = window) {
  let hasJustEnded = false; // Safari ends the composition before the key that ended it
  const onEnd = () => {
    hasJustEnded = true;
    setTimeout(() => (hasJustEnded = false));
  };
  const onKey = (event) => {
    const belongs = event.isComposing || event.keyCode === KEY_OF_INPUT_METHOD || hasJustEnded;
    if (belongs) event.stopImmediatePropagation();
  };
  target.addEventListener("compositionend", onEnd, true);
  target.addEventListener("keydown", onKey, true);
}
