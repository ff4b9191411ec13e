"""The look: warm greys, one accent, the system's own fonts (nothing is fetched), light and dark."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import colors, sizes

# One accent, a deep teal: far from skin and from the warm tones of portraits, so that it never competes with a picture.
ACCENT = colors.Color(
    name="shiftlab",
    c50="#eef8f7",
    c100="#d3eeeb",
    c200="#a9dcd7",
    c300="#74c3bc",
    c400="#43a59e",
    c500="#1f8a83",
    c600="#14706b",
    c700="#125a57",
    c800="#124846",
    c900="#113c3a",
    c950="#062322",
)
GREY = colors.Color(
    name="paper",
    c50="#faf9f7",
    c100="#f3f1ee",
    c200="#e6e3de",
    c300="#d3cfc8",
    c400="#a29d95",
    c500="#767169",
    c600="#57534d",
    c700="#3e3b37",
    c800="#292724",
    c900="#1c1a18",
    c950="#131210",
)
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "Liberation Sans", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "Liberation Mono", "monospace")


def theme() -> gr.themes.Base:
    """The theme that `launch` is given; what a theme cannot say stands in assets/style.css."""
    look = gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=GREY,
        text_size=sizes.text_md,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_md,
        font=SANS,
        font_mono=MONO,
    )
    return look.set(**_surfaces(), **_inputs(), **_buttons())


def _surfaces() -> dict[str, str]:
    return {
        "body_background_fill": "*neutral_50",
        "body_background_fill_dark": "*neutral_950",
        "background_fill_primary": "white",
        "background_fill_primary_dark": "*neutral_900",
        "background_fill_secondary": "*neutral_100",
        "background_fill_secondary_dark": "*neutral_800",
        "body_text_color": "*neutral_900",
        "body_text_color_dark": "*neutral_100",
        "body_text_color_subdued": "*neutral_500",
        "body_text_color_subdued_dark": "*neutral_400",
        "border_color_primary": "*neutral_200",
        "border_color_primary_dark": "*neutral_800",
        "block_background_fill": "white",
        "block_background_fill_dark": "*neutral_900",
        "block_border_width": "0px",
        "block_shadow": "none",
        "block_label_background_fill": "transparent",
        "block_label_background_fill_dark": "transparent",
        "block_label_border_width": "0px",
        "block_label_text_color": "*neutral_600",
        "block_label_text_color_dark": "*neutral_300",
        "block_title_text_color": "*neutral_800",
        "block_title_text_color_dark": "*neutral_200",
        "block_title_text_weight": "500",
        "block_info_text_color": "*neutral_500",
        "block_info_text_color_dark": "*neutral_400",
        "block_info_text_size": "*text_xs",
        "layout_gap": "*spacing_xl",
        "form_gap_width": "0px",
        "accordion_text_color": "*neutral_600",
        "accordion_text_color_dark": "*neutral_300",
        "loader_color": "*primary_500",
        "color_accent_soft_dark": "*primary_950",
    }


def _inputs() -> dict[str, str]:
    return {
        "input_background_fill": "*neutral_50",
        "input_background_fill_dark": "*neutral_950",
        "input_border_color": "*neutral_300",
        "input_border_color_dark": "*neutral_700",
        "input_border_color_focus": "*primary_500",
        "input_border_color_focus_dark": "*primary_400",
        "input_border_width": "1px",
        "input_shadow": "none",
        "input_shadow_focus": "0 0 0 3px color-mix(in srgb, *primary_500 20%, transparent)",
        "slider_color": "*primary_500",
        "slider_color_dark": "*primary_400",
        "checkbox_background_color_selected": "*primary_600",
        "checkbox_background_color_selected_dark": "*primary_500",
        "checkbox_border_color": "*neutral_400",
        "checkbox_border_color_dark": "*neutral_600",
        "checkbox_label_background_fill": "transparent",
        "checkbox_label_background_fill_dark": "transparent",
        "checkbox_label_background_fill_hover": "*neutral_100",
        "checkbox_label_background_fill_hover_dark": "*neutral_800",
        "checkbox_label_border_width": "0px",
        "checkbox_label_border_width_dark": "0px",
        "checkbox_label_shadow": "none",
    }


def _buttons() -> dict[str, str]:
    return {
        "button_primary_background_fill": "*primary_600",
        "button_primary_background_fill_hover": "*primary_700",
        "button_primary_background_fill_dark": "*primary_500",
        "button_primary_background_fill_hover_dark": "*primary_400",
        "button_primary_text_color": "white",
        "button_primary_text_color_dark": "white",
        "button_secondary_background_fill": "white",
        "button_secondary_background_fill_hover": "*neutral_100",
        "button_secondary_background_fill_dark": "*neutral_800",
        "button_secondary_background_fill_hover_dark": "*neutral_700",
        "button_secondary_border_color": "*neutral_300",
        "button_secondary_border_color_dark": "*neutral_700",
        "button_border_width": "1px",
        "button_large_text_weight": "600",
        "button_large_padding": "10px 18px",
        "button_transition": "background-color 120ms ease, border-color 120ms ease",
    }
