"""`bijlighar provider`: the fake message provider and payment gateway of a demo."""

import click

from bijlighar.base.errors import BijligharError
from bijlighar.cli.common import home_option
from bijlighar.runtime.home import Home
from bijlighar.simulator import operations as simulator


class NotADemo(BijligharError):
    """The home is not that of a demo."""

    code = "cli.not-a-demo"


@click.group()
def provider() -> None:
    """The fake message and payment providers of a demo."""


@provider.command()
@home_option
@click.option(
    "--port", type=click.IntRange(1, 65_535), required=True, help="Port of the two providers' APIs."
)
@click.option(
    "--control", type=click.IntRange(1, 65_535), required=True, help="Port that takes the demo's orders."
)
def simulate(home: Home, port: int, control: int) -> None:
    """Answer as WhatsApp's Cloud API and as the payment gateway, and call the home's web server back."""
    if not home.is_demo:
        raise NotADemo(f"{home.path} is not the home of a demo; the fake providers serve a demo only")
    settings = home.settings
    town = simulator.read_town(home.town).town
    simulator.serve_providers(
        folder=home.folder("providers"),
        port=port,
        control_port=control,
        callback_base_url=f"http://{settings.text('web.host')}:{settings.whole('web.port')}",
        secrets=simulator.ProviderSecrets(
            whatsapp_token=settings.text("whatsapp.token"),
            whatsapp_app_secret=settings.text("whatsapp.app_secret"),
            gateway_key_id=settings.text("gateway.key_id"),
            gateway_key_secret=settings.text("gateway.key_secret"),
            gateway_webhook_secret=settings.text("gateway.webhook_secret"),
        ),
        seed=town.seed,
        start_at=home.clock.now(),
    )
