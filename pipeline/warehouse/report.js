"use strict";
// Draws the screens of a warehouse's page.

for (const shown of pageData("screen-data")) {
  const stage = element("div", "scroll");
  const screen = element("div");
  stage.append(screen);
  const section = element("section");
  section.append(element("h3", "", shown.title), stage, element("code", "soft", shown.play));
  document.getElementById("screens").append(section);
  const view = new ScreenView(screen, shown.rows, shown.cols);
  const { rows, y, x } = new Screens(shown.screens).at(0);
  const fit = () => view.fit(stage.clientWidth, Infinity, 5, 9);
  addEventListener("resize", fit);
  fit();
  view.draw(rows.map((number) => shown.screens.rows[number]), y, x);
}
